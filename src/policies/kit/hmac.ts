/**
 * HMAC (RFC 2104) under a key that stays the same: the padded keys are made once, and what is left for a text are two
 * hashes. Node's `createHmac` looks its algorithm up and makes an object for every text, which costs several times as much.
 */
import { hash, timingSafeEqual } from 'node:crypto'

/** Bytes of the blocks that each algorithm works on, and of what it gives. */
const sizes = {
  sha1: [64, 20],
  sha256: [64, 32],
  sha384: [128, 48],
  sha512: [128, 64],
} as const
export type HmacHash = keyof typeof sizes

/** Bytes of a text for which room is kept. */
const usualText = 4096

export class Hmac {
  readonly #algorithm: HmacHash
  readonly #blockSize: number
  /** The inner block, and room for the text behind it. */
  readonly #inner: Buffer
  /** The outer block, and behind it the inner digest. */
  readonly #outer: Buffer
  readonly #expected: Buffer

  constructor(algorithm: HmacHash, key: Buffer) {
    const [blockSize, digestSize] = sizes[algorithm]
    this.#algorithm = algorithm
    this.#blockSize = blockSize
    const block = Buffer.alloc(blockSize)
    const short = key.length > blockSize ? hash(algorithm, key, 'buffer') : key
    short.copy(block)
    this.#inner = Buffer.alloc(blockSize + usualText)
    this.#outer = Buffer.alloc(blockSize + digestSize)
    this.#expected = Buffer.alloc(digestSize)
    for (let i = 0; i < blockSize; i++) {
      this.#inner[i] = block[i]! ^ 0x36
      this.#outer[i] = block[i]! ^ 0x5c
    }
  }

  /** Whether that is the code of the text; takes the same time for every wrong one. @param text one character a byte */
  verify(text: string, presented: Uint8Array): boolean {
    const expected = this.#expected
    if (presented.length !== expected.length) return false
    const size = this.#blockSize
    const message = this.#inner.length >= size + text.length ? this.#inner : this.#innerFor(text)
    message.write(text, size, 'latin1')
    // Strings of bytes cost half of what a new Buffer for each digest does.
    const inner = hash(this.#algorithm, message.subarray(0, size + text.length), 'binary')
    this.#outer.write(inner, size, 'latin1')
    expected.write(hash(this.#algorithm, this.#outer, 'binary'), 0, 'latin1')
    return timingSafeEqual(expected, presented)
  }

  #innerFor(text: string): Buffer {
    const message = Buffer.allocUnsafe(this.#blockSize + text.length)
    this.#inner.copy(message, 0, 0, this.#blockSize)
    return message
  }
}
