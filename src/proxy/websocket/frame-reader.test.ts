import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { closeCode, closeFrame, FrameReader } from './frame-reader.ts'

const free = { message: 0, rate: 0 }

/** A frame of a server, or of a client (RFC 6455 section 5.2). */
function frame(opcode: number, length: number, { final = true, masked = false } = {}): Buffer {
  const size =
    length < 126
      ? [length]
      : length < 65_536
        ? [126, length >> 8, length & 255]
        : [127, 0, 0, 0, 0, ...bytesOf(length)]
  size[0]! |= masked ? 128 : 0
  return Buffer.concat([
    Buffer.from([opcode | (final ? 128 : 0), ...size]),
    Buffer.alloc(masked ? 4 : 0, 7),
    Buffer.alloc(length, 0x88),
  ])
}
const bytesOf = (length: number) => [24, 16, 8, 0].map((shift) => (length >> shift) & 255)

function read(reader: FrameReader, bytes: Buffer, limits = free, now = 0): number {
  return reader.read(bytes, 0, bytes.length, limits, now)
}

suite('frames of a WebSocket', () => {
  test('are followed wherever a read ends', () => {
    const stream = Buffer.concat([
      frame(1, 5),
      frame(2, 200, { final: false }),
      frame(9, 3),
      frame(0, 70_000),
      frame(1, 0),
      frame(8, 2),
    ])
    for (const step of [1, 2, 3, 7, 1000, stream.length]) {
      const reader = new FrameReader(false)
      for (let at = 0; at < stream.length; at += step) {
        assert.equal(reader.read(stream, at, Math.min(at + step, stream.length), free, 0), 0)
      }
      assert.equal(reader.messages, 3)
      assert.ok(reader.isBetweenFrames)
    }
    const reader = new FrameReader(true)
    assert.equal(read(reader, frame(1, 10, { masked: true }).subarray(0, -1)), 0)
    assert.deepEqual([reader.messages, reader.isBetweenFrames], [0, false])
  })

  test('that are none end the counting, with the code for it', () => {
    for (const bytes of [
      Buffer.from('ping'),
      frame(1, 5, { masked: true }),
      frame(3, 1),
      frame(11, 1),
      frame(0, 1),
      frame(9, 1, { final: false }),
      frame(8, 126),
      Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      Buffer.concat([frame(1, 1, { final: false }), frame(1, 1)]),
    ]) {
      const reader = new FrameReader(false)
      assert.equal(read(reader, bytes), closeCode.protocolError, bytes.toString('hex'))
      assert.equal(read(reader, frame(1, 1)), 0)
      assert.deepEqual([reader.messages, reader.isBetweenFrames], [0, false])
    }
  })

  test('are limited by the size of their message, and by messages of a second', () => {
    const reader = new FrameReader(false)
    const limits = { message: 10, rate: 2 }
    assert.equal(read(reader, frame(1, 10), limits), 0)
    assert.equal(read(reader, frame(1, 4, { final: false }), limits), 0)
    assert.equal(read(reader, frame(9, 100), limits), 0)
    assert.equal(read(reader, frame(0, 6), limits), 0)
    assert.equal(read(reader, frame(1, 1), limits, 999), closeCode.policyViolation)
    const later = new FrameReader(false)
    for (let second = 0; second < 5; second++) {
      assert.equal(read(later, Buffer.concat([frame(1, 1), frame(1, 1)]), limits, second * 1000), 0)
    }
    assert.equal(read(later, frame(2, 11).subarray(0, 2), limits, 9000), closeCode.messageTooBig)
  })

  test('that close have a code, and a mask from clients', () => {
    for (const masked of [false, true]) {
      const reader = new FrameReader(masked)
      assert.equal(read(reader, closeFrame(1001, masked)), 0)
      assert.ok(reader.isBetweenFrames)
    }
    assert.equal(closeFrame(1001, false).toString('hex'), '880203e9')
  })
})
