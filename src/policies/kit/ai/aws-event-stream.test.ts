import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { AwsEventStream } from './aws-event-stream.ts'
import { awsMessage } from './testing.ts'

function read(bytes: Buffer, size: number): [string | undefined, string][] {
  const stream = new AwsEventStream()
  const found: [string | undefined, string][] = []
  for (let at = 0; at < bytes.length; at += size)
    for (const { headers, payload } of stream.read(bytes.subarray(at, at + size)))
      found.push([headers[':event-type'], payload.toString()])
  return found
}

const whole = Buffer.concat([
  awsMessage('messageStart', '{"a":"ü"}'),
  awsMessage('empty', ''),
  awsMessage('metadata', '{}'),
])

test('messages are the same wherever they are cut', () => {
  for (let size = 1; size <= whole.length; size++) {
    assert.deepEqual(read(whole, size), [
      ['messageStart', '{"a":"ü"}'],
      ['empty', ''],
      ['metadata', '{}'],
    ])
  }
})

test('nothing is read of a message that is not what it says, and nothing after it', () => {
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at]! ^= 0x01
    const found = read(changed, 7)
    assert.ok(found.length < 3, String(at))
    assert.deepEqual(found, read(whole, 7).slice(0, found.length))
  }
})

test('a message that says it is huge is not waited for', () => {
  const stream = new AwsEventStream()
  const message = Buffer.alloc(12)
  message.writeUInt32BE(0x7fffffff, 0)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  assert.deepEqual(stream.read(message), [])
  assert.deepEqual(stream.read(whole), [])
})
