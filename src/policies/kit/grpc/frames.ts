/** Messages of gRPC as they stand in a body: a flag, a length and so many bytes. */

/** Bytes in front of each. */
export const prefixSize = 5

/** @param flag 0: a message; 1: a compressed one; 0x80: trailer fields, in gRPC-Web */
export function frame(flag: number, content: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(prefixSize + content.length)
  framed[0] = flag
  framed.writeUInt32BE(content.length, 1)
  content.copy(framed, prefixSize)
  return framed
}

/** Takes messages out of pieces of a body. */
export class FrameReader {
  readonly #limit: number
  #pieces: Buffer[] = []
  #size = 0

  /** @param limit bytes of one message */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** @returns the messages that are whole now. @throws Error when one is too large, or compressed */
  push(piece: Buffer): Buffer[] {
    this.#pieces.push(piece)
    this.#size += piece.length
    const found: Buffer[] = []
    while (this.#size >= prefixSize) {
      const bytes = this.#joined()
      const length = bytes.readUInt32BE(1)
      if (bytes[0] !== 0) throw new Error('a message is compressed')
      if (length > this.#limit) throw new Error('a message is too large')
      const end = prefixSize + length
      if (bytes.length < end) break
      found.push(bytes.subarray(prefixSize, end))
      this.#pieces = [bytes.subarray(end)]
      this.#size = bytes.length - end
    }
    return found
  }

  /** Nothing is left of a message that did not end. */
  get isAtEnd(): boolean {
    return this.#size === 0
  }

  #joined(): Buffer {
    // What is longer than its prefix is joined once it may be whole.
    const [first] = this.#pieces
    if (this.#pieces.length === 1) return first!
    if (first!.length >= prefixSize && this.#size < prefixSize + first!.readUInt32BE(1)) return first!
    const bytes = Buffer.concat(this.#pieces)
    this.#pieces = [bytes]
    return bytes
  }
}
