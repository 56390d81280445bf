import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BodyReader } from './body.ts'

const limits = { head: 256, headers: 10, target: 100 }

/** Reads `text` in pieces of `size` bytes. */
function read(begin: (reader: BodyReader) => void, text: string, size = text.length) {
  const reader = new BodyReader(limits)
  begin(reader)
  const bytes = Buffer.from(text, 'latin1')
  let content = ''
  let used = 0
  for (let piece = 0; piece < bytes.length && !reader.done && !reader.failed; piece += size) {
    const end = Math.min(piece + size, bytes.length)
    let at = piece
    while (at < end && !reader.done && !reader.failed) {
      at = reader.next(bytes, at, end)
      content += bytes.toString('latin1', reader.from, reader.to)
      used = at
    }
  }
  return { reader, content, used }
}

const chunked = (reader: BodyReader) => reader.beginChunked()

describe('chunked bodies', () => {
  const text = '5\r\nhello\r\n6;a=b;c="d\\"e"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1'
  for (const size of [text.length, 1, 2, 3, 7]) {
    test(`content, trailers and end are the same in pieces of ${size} bytes`, () => {
      const { reader, content, used } = read(chunked, text, size)
      assert.equal(content, 'hello world')
      assert.equal(reader.done, true)
      assert.equal(reader.trailers?.value(0), '1')
      assert.equal(text.slice(used), 'GET / HTTP/1.1')
    })
  }

  for (const bad of [
    '5\nhello\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '5;\r\nhello\r\n0\r\n\r\n',
    '5;a=\r\nhello\r\n0\r\n\r\n',
    '5;a="x\nhello\r\n0\r\n\r\n',
    '5\r\nhelloXX',
    '5\r\nhello\r0\r\n\r\n',
    '\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
    '10000000000000000\r\n',
    '5\r\nhello\r\n0\r\nX A: b\r\n\r\n',
  ]) {
    test(`refused: ${JSON.stringify(bad)}`, () => {
      assert.equal(read(chunked, bad).reader.failed, true)
      assert.equal(read(chunked, bad, 1).reader.failed, true)
    })
  }

  test('extensions and trailers are bounded', () => {
    assert.equal(read(chunked, `1;${'a'.repeat(20_000)}`).reader.failed, true)
    assert.equal(read(chunked, `0\r\nX-A: ${'a'.repeat(400)}`).reader.failed, true)
  })
})

test('a body with a length ends after it', () => {
  const { reader, content, used } = read((body) => body.beginLength(5), 'helloGET', 2)
  assert.equal(content, 'hello')
  assert.equal(reader.done, true)
  assert.equal(used, 5)
})

test('a body that ends with the connection is complete only then', () => {
  const { reader, content } = read((body) => body.beginUntilClose(), 'all of it')
  assert.equal(content, 'all of it')
  assert.equal(reader.done, false)
  reader.connectionEnded()
  assert.equal(reader.done, true)
})
