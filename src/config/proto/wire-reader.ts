/** Reads messages in the binary format of Protocol Buffers, field by field. */

export class WireError extends Error {
  override readonly name = 'WireError'
}

/** Groups in groups. */
const deepestGroup = 100

export const wireType = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

export class WireReader {
  /** Of the field that `next` found. */
  id = 0
  type = 0
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#at = 0
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** Steps to the next field, whose value has to be read or skipped. @throws WireError */
  next(): boolean {
    if (this.isAtEnd) return false
    const tag = this.uint32()
    this.id = tag >>> 3
    this.type = tag & 7
    if (this.id === 0 || this.type > 5) throw new WireError('a field has no number or no type')
    return true
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new WireError('a number is too long')
  }

  /** The lowest 32 bits of a varint. */
  uint32(): number {
    let value = 0
    for (let count = 0; count < 10; count++) {
      const byte = this.#byte()
      if (count < 5) value |= (byte & 0x7f) << (count * 7)
      if (byte < 0x80) return value >>> 0
    }
    throw new WireError('a number is too long')
  }

  /** A part of the message that is read; not a copy. */
  bytes(): Buffer {
    return this.#take(this.uint32())
  }

  fixed32(): Buffer {
    return this.#take(4)
  }

  fixed64(): Buffer {
    return this.#take(8)
  }

  /** The value of the field that `next` found. */
  skip(depth = 0): void {
    switch (this.type) {
      case wireType.varint:
        this.varint()
        break
      case wireType.fixed64:
        this.#take(8)
        break
      case wireType.bytes:
        this.bytes()
        break
      case wireType.fixed32:
        this.#take(4)
        break
      case wireType.groupStart:
        this.#skipGroup(depth)
        break
      default:
        throw new WireError('a group ends that did not begin')
    }
  }

  #skipGroup(depth: number): void {
    const { id } = this
    if (depth === deepestGroup) throw new WireError('groups are nested too deeply')
    while (this.next()) {
      if (this.type !== wireType.groupEnd) this.skip(depth + 1)
      else if (this.id === id) return
      else break
    }
    throw new WireError('a group does not end')
  }

  #take(size: number): Buffer {
    const start = this.#at
    if (size > this.#bytes.length - start) throw new WireError('the message breaks off')
    this.#at = start + size
    return this.#bytes.subarray(start, this.#at)
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new WireError('the message breaks off')
    this.#at++
    return byte
  }
}
