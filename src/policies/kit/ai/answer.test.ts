import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerReader } from './answer.ts'
import type { Protocol } from './chat.ts'

const none = { cache_read_input_tokens: 0, cache_creation_input_tokens: 0, reasoning_tokens: 0 }
const costs = { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10, ...none }

function read(protocol: Protocol, type: string, text: string, size: number) {
  const reader = new AnswerReader(protocol, type, true)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) reader.write(bytes.subarray(at, at + size))
  reader.end()
  return reader
}

test('a stream of OpenAI, cut anywhere', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 }
  const text =
    'data: {"choices":[{"delta":{"content":"ü"}}],"usage":null}\n\n' +
    'data: {"choices":[{"delta":{"content":"ber","tool_calls":[{"index":0}]}}]}\n\n' +
    `data: {"usage":${JSON.stringify(usage)}}\r\n\r\ndata: [DONE]\n\n`
  for (let size = 1; size < text.length; size++) {
    const answer = read('openai-chat', 'text/event-stream', text, size)
    assert.deepEqual([answer.usage, answer.text, answer.callsTools], [costs, 'über', true])
  }
})

test('a stream of Anthropic says its cost in two parts', () => {
  const text =
    'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1,"cache_read_input_tokens":2}}}\n\n' +
    'event: content_block_delta\ndata: {"delta":{"type":"text_delta","text":"Hi"}}\n\n' +
    'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":7}}\n\n'
  const answer = read('anthropic-messages', 'text/event-stream; charset=utf-8', text, 11)
  assert.deepEqual(answer.usage, { ...costs, cache_read_input_tokens: 2 })
  assert.equal(answer.text, 'Hi')
  assert.deepEqual(answer.counts, { input_tokens: 3, output_tokens: 7, cache_read_input_tokens: 2 })
})

test('a stream of responses', () => {
  const usage = {
    input_tokens: 3,
    output_tokens: 7,
    total_tokens: 10,
    output_tokens_details: { reasoning_tokens: 4 },
  }
  const done = { response: { usage, output: [{ type: 'function_call' }] } }
  const text =
    'event: response.output_text.delta\ndata: {"delta":"Hel"}\n\n' +
    `event: response.completed\ndata: ${JSON.stringify(done)}\n\n`
  const answer = read('openai-responses', 'text/event-stream', text, 5)
  assert.deepEqual([answer.usage, answer.text], [{ ...costs, reasoning_tokens: 4 }, 'Hel'])
  assert.equal(answer.callsTools, true)
})

test('bodies of every format', () => {
  const cases: [Protocol, object, string][] = [
    [
      'openai-chat',
      {
        choices: [{ message: { content: 'a' } }, { message: { content: 'b' } }],
        usage: { prompt_tokens: 3, completion_tokens: 7 },
      },
      'a b',
    ],
    [
      'openai-responses',
      {
        output: [{ type: 'message', content: [{ type: 'output_text', text: 'a' }] }],
        usage: { input_tokens: 3, output_tokens: 7 },
      },
      'a',
    ],
    [
      'anthropic-messages',
      { content: [{ type: 'text', text: 'a' }], usage: { input_tokens: 3, output_tokens: 7 } },
      'a',
    ],
    [
      'bedrock-converse',
      {
        output: { message: { content: [{ text: 'a' }] } },
        usage: { inputTokens: 3, outputTokens: 7, totalTokens: 10 },
      },
      'a',
    ],
    ['openai-embeddings', { data: [], usage: { prompt_tokens: 10, total_tokens: 10 } }, ''],
  ]
  for (const [protocol, body, text] of cases) {
    const answer = read(protocol, 'application/json', JSON.stringify(body), 5)
    assert.equal(answer.usage?.total_tokens, 10, protocol)
    assert.equal(answer.text, text, protocol)
  }
})

test('what cannot be read costs nothing, and nothing without end is kept', () => {
  for (const text of ['', 'x', '{"usage":5}', '{"usage":null}', '[1]', 'null']) {
    assert.equal(read('openai-chat', 'application/json', text, 3).usage, undefined)
  }
  const lies = '{"usage":{"prompt_tokens":"9","completion_tokens":-4,"total_tokens":1e300}}'
  const { usage } = read('openai-chat', 'application/json', lies, 9)
  assert.deepEqual(usage, { ...none, prompt_tokens: 0, completion_tokens: 0, total_tokens: 2 ** 40 })
  const reader = new AnswerReader('openai-chat', 'text/event-stream', true)
  for (let i = 0; i < 100; i++) reader.write(Buffer.alloc(64 * 1024, 'x'))
  reader.write(Buffer.from(`\ndata: {"usage":{"prompt_tokens":1}}\n`))
  assert.equal(reader.usage, undefined)
  const said = `data: {"choices":[{"delta":{"content":"${'y'.repeat(60_000)}"}}]}\n\n`
  for (let i = 0; i < 40; i++) reader.write(Buffer.from(`\n\n${said}`))
  assert.equal(reader.text.length, 1024 * 1024)
})
