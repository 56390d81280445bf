/**
 * Marks on what the database holds. The key is a file beside it, so that whoever can write to the database alone can make
 * the control plane forget, but cannot make it believe, and sign, anything of theirs.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const keyBytes = 32
const modulus = 1n << 256n

export class Seal {
  readonly #key: Buffer

  /** @param key base64url, as `Seal.newKey` makes it */
  constructor(key: string) {
    this.#key = Buffer.from(key, 'base64url')
    if (this.#key.length !== keyBytes) throw new Error(`a key for marks has ${keyBytes} bytes`)
  }

  static newKey(): string {
    return randomBytes(keyBytes).toString('base64url')
  }

  /** Of parts whose bounds count; null is a part of its own. */
  mark(use: string, ...parts: (string | number | null)[]): Buffer {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([use, ...parts]))
      .digest()
  }

  holds(mark: Uint8Array, use: string, ...parts: (string | number | null)[]): boolean {
    const expected = this.mark(use, ...parts)
    return mark.length === expected.length && timingSafeEqual(mark, expected)
  }
}

/**
 * One number for a set, whatever its order: the sum of the marks of its members. Members come and go at the cost of one
 * mark, and without the key no other set with the same sum can be found.
 */
export class SetDigest {
  #sum = 0n

  add(mark: Buffer): void {
    this.#sum = (this.#sum + numberOf(mark)) % modulus
  }

  remove(mark: Buffer): void {
    this.#sum = (this.#sum - numberOf(mark) + modulus) % modulus
  }

  copy(): SetDigest {
    const other = new SetDigest()
    other.#sum = this.#sum
    return other
  }

  toString(): string {
    return this.#sum.toString(16).padStart(64, '0')
  }
}

const numberOf = (mark: Buffer) => BigInt(`0x${mark.toString('hex')}`)
