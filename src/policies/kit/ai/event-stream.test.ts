import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventStream } from './event-stream.ts'

function read(text: string, size: number) {
  const stream = new EventStream()
  const bytes = Buffer.from(text)
  const events = []
  for (let at = 0; at < bytes.length; at += size) events.push(...stream.read(bytes.subarray(at, at + size)))
  return events
}

for (const end of ['\n', '\r\n', '\r']) {
  test(`events are the same wherever they are cut, lines end with ${JSON.stringify(end)}`, () => {
    const text = [
      ': hello',
      '',
      'data: ü',
      'data:  b',
      'id: 1',
      '',
      'event: ping',
      'data:',
      '',
      'nothing',
      '',
    ].join(end)
    const wanted = [
      { type: 'message', data: 'ü\n b' },
      { type: 'ping', data: '' },
    ]
    for (let size = 1; size <= text.length + 1; size++) {
      // A carriage return at the very end could be the first half of a line's end.
      assert.deepEqual(read(`${text}${end}`, size), wanted, String(size))
    }
  })
}

test('an event that does not end is left out, and what follows is read again', () => {
  const stream = new EventStream()
  for (let i = 0; i < 40; i++) assert.deepEqual(stream.read(Buffer.alloc(64 * 1024, 'x')), [])
  assert.deepEqual(stream.read(Buffer.from('data: lost\n')), [])
  assert.deepEqual(stream.read(Buffer.from('\ndata: a\n\n')), [{ type: 'message', data: 'a' }])
})
