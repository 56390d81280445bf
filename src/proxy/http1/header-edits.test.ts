import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerBlock, headerName, InvalidHeaderError } from '../headers.ts'
import { Head } from './head.ts'
import { HeaderEdits } from './header-edits.ts'

const limits = { head: 1024, headers: 20, target: 100 }

function response(...lines: string[]): Head {
  const head = new Head(limits.headers)
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)
  assert.equal(head.parseResponse(bytes, 0, bytes.length, limits), bytes.length)
  return head
}

test('set replaces what the upstream sent and what was set before', () => {
  const edits = new HeaderEdits()
  edits.set('X-A', 'first')
  edits.set(headerName('x-a'), 2)
  const head = response('X-a: theirs', 'X-B: kept', 'x-A: theirs too')
  edits.dropFrom(head)
  assert.equal(head.keptLines(), 'X-B: kept\r\n')
  assert.equal(edits.text(), 'x-a: 2\r\n')
})

test('add stands beside what is there; remove takes away both', () => {
  const edits = new HeaderEdits()
  edits.add('X-A', 'mine')
  edits.remove('X-B')
  const head = response('X-A: theirs', 'X-B: theirs')
  edits.dropFrom(head)
  assert.equal(head.keptLines() + edits.text(), 'X-A: theirs\r\nX-A: mine\r\n')
})

test('a field of a block can be replaced or removed alone', () => {
  const edits = new HeaderEdits()
  edits.setBlock(
    headerBlock([
      ['X-A', '1'],
      ['X-B', '2'],
      ['X-C', '3'],
    ]),
  )
  edits.set('X-B', 'new')
  edits.remove('X-C')
  assert.equal(edits.text(), 'X-A: 1\r\nX-B: new\r\n')
  assert.deepEqual(edits.values('x-b'), ['new'])
})

test('a value that would break the message is refused when it is set', () => {
  const edits = new HeaderEdits()
  for (const value of ['a\r\nX-Evil: 1', 'a\nb', 'a\0', 'a\x7f', 'snow ☃']) {
    assert.throws(() => edits.set('X-A', value), InvalidHeaderError, JSON.stringify(value))
  }
  assert.throws(() => edits.set('X A', '1'), InvalidHeaderError)
  assert.throws(() => edits.add('X-A:', '1'), InvalidHeaderError)
  assert.equal(edits.text(), '')
})
