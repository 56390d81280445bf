/**
 * HalfSipHash-1-3 with 64 bits of output (Aumasson and Bernstein), over UTF-16 code units, two to a word.
 *
 * Keys of limits are often chosen by clients. A keyed hash keeps them from finding keys that share a counter.
 */
export class KeyHash {
  /** The two halves of the last hash. Fields rather than a result, so that hashing allocates nothing. */
  low = 0
  high = 0
  readonly #k0: number
  readonly #k1: number

  constructor(k0: number, k1: number) {
    this.#k0 = k0
    this.#k1 = k1
  }

  update(key: string): void {
    let v0 = this.#k0
    let v1 = this.#k1 ^ 0xee
    let v2 = this.#k0 ^ 0x6c796765
    let v3 = this.#k1 ^ 0x74656462
    const length = key.length
    // The last word carries the length and the odd code unit, as SipHash's last block does.
    const words = (length >> 1) + 1
    for (let word = 0; word < words; word++) {
      const at = word << 1
      const m =
        word < words - 1
          ? key.charCodeAt(at) | (key.charCodeAt(at + 1) << 16)
          : (length << 16) | ((length & 1) === 1 ? key.charCodeAt(at) : 0)
      v3 ^= m
      // One round, written out: a call with four results would need an object.
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= m
    }
    v2 ^= 0xee
    for (let round = 0; round < 6; round++) {
      if (round === 3) {
        this.low = v1 ^ v3
        v1 ^= 0xdd
      }
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    this.high = v1 ^ v3
  }
}
