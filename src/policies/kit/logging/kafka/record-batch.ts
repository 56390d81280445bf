/** Messages as Kafka keeps them: a record batch of version 2 (https://kafka.apache.org/documentation/#recordbatch). */
import { KafkaWriter } from './wire.ts'

export interface KafkaMessage {
  /** Null: none. */
  readonly key: string | null
  readonly value: string
}

/** @param time epoch milliseconds of all messages */
export function recordBatch(messages: readonly KafkaMessage[], time: number): Buffer {
  const checked = new KafkaWriter()
    .int16(0)
    .int32(messages.length - 1)
    .int64(time)
    .int64(time)
    // Neither a producer id with its epoch, nor a sequence: what is sent again may stand there twice.
    .int64(-1)
    .int16(-1)
    .int32(-1)
    .int32(messages.length)
  for (const [index, message] of messages.entries()) {
    const record = recordOf(message, index)
    checked.varint(record.length).raw(record)
  }
  const tail = checked.finish()
  return new KafkaWriter()
    .int64(0)
    .int32(tail.length + 9)
    .int32(-1)
    .int8(2)
    .uint32(crc32c(tail))
    .raw(tail)
    .finish()
}

function recordOf({ key, value }: KafkaMessage, index: number): Buffer {
  const record = new KafkaWriter().int8(0).varint(0).varint(index)
  if (key === null) record.varint(-1)
  else {
    const bytes = Buffer.from(key)
    record.varint(bytes.length).raw(bytes)
  }
  const bytes = Buffer.from(value)
  return record.varint(bytes.length).raw(bytes).varint(0).finish()
}

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** CRC-32C (RFC 3720 B.4), which `node:zlib` has not. */
export function crc32c(bytes: Buffer): number {
  let value = 0xffffffff
  for (const byte of bytes) value = (value >>> 8) ^ table[(value ^ byte) & 255]!
  return (value ^ 0xffffffff) >>> 0
}
