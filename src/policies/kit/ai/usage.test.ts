import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageReader } from './usage.ts'

const costs = { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 }

function read(type: string, text: string, size: number) {
  const reader = new UsageReader(type)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) reader.write(bytes.subarray(at, at + size))
  reader.end()
  return reader.usage
}

test('a stream of OpenAI, cut anywhere', () => {
  const text = `data: {"choices":[{"delta":{"content":"ü"}}],"usage":null}\n\ndata: {"usage":${JSON.stringify(costs)}}\r\n\r\ndata: [DONE]\n\n`
  for (let size = 1; size < 40; size++) assert.deepEqual(read('text/event-stream', text, size), costs)
})

test('a stream of Anthropic says its cost in two parts', () => {
  const text =
    'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}\n\n' +
    'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":7}}\n\n'
  assert.deepEqual(read('text/event-stream; charset=utf-8', text, 11), costs)
})

test('a body of the format of responses', () => {
  assert.deepEqual(read('application/json', '{"usage":{"input_tokens":3,"output_tokens":7}}', 5), costs)
})

test('what cannot be read costs nothing, and nothing without end is kept', () => {
  for (const text of ['', 'x', '{"usage":5}', '{"usage":null}', '[1]', 'null']) {
    assert.equal(read('application/json', text, 3), undefined)
  }
  assert.deepEqual(read('application/json', '{"usage":{"prompt_tokens":"9","completion_tokens":-4}}', 9), {
    prompt_tokens: 0,
    completion_tokens: 0,
    total_tokens: 0,
  })
  const reader = new UsageReader('text/event-stream')
  for (let i = 0; i < 100; i++) reader.write(Buffer.alloc(64 * 1024, 'x'))
  reader.write(Buffer.from(`\ndata: {"usage":${JSON.stringify(costs)}}\n`))
  assert.equal(reader.usage, undefined)
})
