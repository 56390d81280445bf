/** Messages of protobuf, as far as OTLP needs them (https://protobuf.dev/programming-guides/encoding/). */

const varint = 0
const fixed64 = 1
const bytes = 2
const fixed32 = 5

export class ProtobufWriter {
  readonly #pieces: Buffer[] = []
  #length = 0

  /** Text in UTF-8. The default of protobuf, which is empty, is left out. */
  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, Buffer.from(value))
  }

  /** Of hexadecimal digits. */
  hex(field: number, digits: string): this {
    return digits === '' ? this : this.bytes(field, Buffer.from(digits, 'hex'))
  }

  bytes(field: number, value: Buffer): this {
    this.#varint(BigInt((field << 3) | bytes))
    this.#varint(BigInt(value.length))
    this.#add(value)
    return this
  }

  message(field: number, fill: (message: ProtobufWriter) => void): this {
    const message = new ProtobufWriter()
    fill(message)
    return this.bytes(field, message.finish())
  }

  /** `int64`, `uint64`, `enum` and `bool`. Negative numbers take ten bytes. */
  integer(field: number, value: bigint): this {
    this.#varint(BigInt((field << 3) | varint))
    this.#varint(BigInt.asUintN(64, value))
    return this
  }

  double(field: number, value: number): this {
    this.#varint(BigInt((field << 3) | fixed64))
    const buffer = Buffer.alloc(8)
    buffer.writeDoubleLE(value)
    this.#add(buffer)
    return this
  }

  fixed64(field: number, value: bigint): this {
    this.#varint(BigInt((field << 3) | fixed64))
    const buffer = Buffer.alloc(8)
    buffer.writeBigUInt64LE(value)
    this.#add(buffer)
    return this
  }

  fixed32(field: number, value: number): this {
    this.#varint(BigInt((field << 3) | fixed32))
    const buffer = Buffer.alloc(4)
    buffer.writeUInt32LE(value)
    this.#add(buffer)
    return this
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces, this.#length)
  }

  #varint(value: bigint): void {
    if (value < 128n) {
      this.#add(singles[Number(value)]!)
      return
    }
    const digits: number[] = []
    let rest = value
    while (rest >= 128n) {
      digits.push(Number(rest & 127n) | 128)
      rest >>= 7n
    }
    digits.push(Number(rest))
    this.#add(Buffer.from(digits))
  }

  #add(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#length += piece.length
  }
}

/** Most tags and lengths take one byte. */
const singles = Array.from({ length: 128 }, (_, value) => Buffer.from([value]))
