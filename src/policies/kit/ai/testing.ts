/** For tests of what asks language models. */
import { crc32 } from 'node:zlib'

/** A message as AWS writes it. */
export function awsMessage(type: string, payload: string): Buffer {
  const fields = [
    [':event-type', type],
    [':message-type', 'event'],
  ].map(([name, value]) =>
    Buffer.concat([
      Buffer.from([name!.length]),
      Buffer.from(name!),
      Buffer.from([7, 0, value!.length]),
      Buffer.from(value!),
    ]),
  )
  const headers = Buffer.concat([...fields, Buffer.from([1, 0x78, 4, 0, 0, 0, 1])])
  const message = Buffer.alloc(12 + headers.length + Buffer.byteLength(payload) + 4)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(headers.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  headers.copy(message, 12)
  message.write(payload, 12 + headers.length)
  message.writeUInt32BE(crc32(message.subarray(0, message.length - 4)), message.length - 4)
  return message
}
