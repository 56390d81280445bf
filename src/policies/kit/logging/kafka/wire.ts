/** Numbers and texts of Kafka's protocol, in the versions before compact encodings (https://kafka.apache.org/protocol). */

export class KafkaWriter {
  readonly #pieces: Buffer[] = []
  #length = 0

  int8(value: number): this {
    return this.#number(1, (buffer) => buffer.writeInt8(value))
  }

  int16(value: number): this {
    return this.#number(2, (buffer) => buffer.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.#number(4, (buffer) => buffer.writeInt32BE(value))
  }

  uint32(value: number): this {
    return this.#number(4, (buffer) => buffer.writeUInt32BE(value))
  }

  int64(value: number): this {
    return this.#number(8, (buffer) => buffer.writeBigInt64BE(BigInt(value)))
  }

  /** Zigzag, as records have it. */
  varint(value: number): this {
    let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
    const digits: number[] = []
    while (rest >= 128n) {
      digits.push(Number(rest & 127n) | 128)
      rest >>= 7n
    }
    digits.push(Number(rest))
    return this.raw(Buffer.from(digits))
  }

  text(value: string | null): this {
    if (value === null) return this.int16(-1)
    const bytes = Buffer.from(value)
    return this.int16(bytes.length).raw(bytes)
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value)
  }

  raw(value: Buffer): this {
    this.#pieces.push(value)
    this.#length += value.length
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces, this.#length)
  }

  #number(size: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(size)
    write(buffer)
    return this.raw(buffer)
  }
}

/** Reads beyond the end throw a RangeError. */
export class KafkaReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    return this.#bytes.readInt8(this.#step(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#step(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#step(4))
  }

  /** Without its value, which nothing here needs. */
  skip(size: number): this {
    this.#step(size)
    return this
  }

  text(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#take(length).toString()
  }

  bytes(): Buffer {
    return this.#take(Math.max(0, this.int32()))
  }

  /** Each element takes a byte at least, so that a length that lies ends at the end. */
  list<T>(read: () => T): T[] {
    const items: T[] = []
    for (let left = this.int32(); left > 0; left--) {
      if (this.#at >= this.#bytes.length) throw new RangeError('a list is longer than its message')
      items.push(read())
    }
    return items
  }

  #take(length: number): Buffer {
    const from = this.#step(length)
    return this.#bytes.subarray(from, from + length)
  }

  #step(size: number): number {
    const from = this.#at
    if (from + size > this.#bytes.length) throw new RangeError('a message is shorter than it says')
    this.#at += size
    return from
  }
}
