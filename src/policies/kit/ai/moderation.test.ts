import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ModelCall } from './call.ts'
import type { Json, Protocol } from './chat.ts'
import { denial } from './denial.ts'
import { EventStream } from './event-stream.ts'
import { MarkedStream } from './risk-level.ts'
import { type TurnRole, textsBy } from './turns.ts'

suite('whose texts are judged', () => {
  const chat = (...said: [role: unknown, content: unknown][]): Json => ({
    messages: said.map(([role, content]) => ({ role, content })),
  })
  const everybody: TurnRole[] = ['user', 'tool', 'system', 'assistant']
  const talk = chat(['system', 's'], ['user', 'a'], ['assistant', 'b'], ['tool', 't'], ['user', 'c'])
  for (const [name, body, protocol, roles, mode, texts] of [
    ['all', talk, 'openai-chat', everybody, 'all', ['s', 'a', 'b', 't', 'c']],
    ['the last of users', talk, 'openai-chat', ['user'], 'last', ['c']],
    ['the last of users and tools', talk, 'openai-chat', ['user', 'tool'], 'last', ['t', 'c']],
    ['the system always', talk, 'openai-chat', ['user', 'system'], 'last', ['s', 'c']],
    ['nobody, when another spoke last', talk, 'openai-chat', ['tool'], 'last', []],
    ['a developer is the system', chat(['developer', 'd']), 'openai-chat', ['system'], 'last', ['d']],
    ['another name is a user', chat(['USER', 'x'], [null, 'y']), 'openai-chat', ['user'], 'all', ['x', 'y']],
    [
      'parts',
      chat(['user', [{ text: 'x' }, { type: 'image_url' }, 5]]),
      'openai-chat',
      ['user'],
      'all',
      ['x'],
    ],
    ['messages that are none', { messages: [null, 5, 'x', []] }, 'openai-chat', everybody, 'all', []],
    [
      'blocks of the system',
      { system: [{ type: 'text', text: 's' }], messages: [{ role: 'user', content: 'u' }] },
      'anthropic-messages',
      ['system'],
      'last',
      ['s'],
    ],
    [
      'results of tools',
      {
        instructions: 'i',
        input: ['a', { type: 'function_call_output', output: 'o' }, { role: 'user', content: 'u' }],
      },
      'openai-responses',
      ['tool', 'system'],
      'all',
      ['i', 'o'],
    ],
    ['one input', { input: 'x' }, 'openai-responses', ['user'], 'last', ['x']],
    ['texts for vectors', { input: ['x', 'y'] }, 'openai-embeddings', ['user'], 'last', ['x', 'y']],
  ] as const satisfies readonly [string, Json, Protocol, readonly TurnRole[], 'last' | 'all', string[]][]) {
    test(name, () => assert.deepEqual(textsBy(body as Json, protocol, roles, mode), texts))
  }
})

suite('what is said in place of an answer', () => {
  const call = (protocol: Protocol, isStream: boolean) =>
    ({ protocol, isStream, body: { model: 'm' }, answer: undefined }) as unknown as ModelCall
  for (const [protocol, form] of [
    ['openai-chat', /"object":"chat.completion".*"content":"No \\"so\\"\.".*"total_tokens":0/],
    ['openai-responses', /"status":"completed".*"text":"No \\"so\\"\.".*"total_tokens":0/],
    ['anthropic-messages', /"type":"message".*"text":"No \\"so\\"\.".*"output_tokens":0/],
    ['bedrock-converse', /"message":.*"text":"No \\"so\\"\.".*"end_turn".*"totalTokens":0/],
  ] as const) {
    test(protocol, () => {
      const text = denial(call(protocol, false), 'No "so".')
      assert.ok(JSON.parse(text))
      assert.match(text, form)
    })
  }

  for (const [protocol, types] of [
    ['openai-chat', ['message', 'message']],
    ['openai-responses', ['response.output_text.delta', 'response.completed']],
    [
      'anthropic-messages',
      [
        'message_start',
        'content_block_start',
        'content_block_delta',
        'content_block_stop',
        'message_delta',
        'message_stop',
      ],
    ],
  ] as const) {
    test(`${protocol}, streamed`, () => {
      const events = new EventStream().read(Buffer.from(denial(call(protocol, true), 'No.')))
      assert.deepEqual(
        events.map(({ type }) => type),
        types,
      )
      assert.ok(events.some(({ data }) => data.includes('"No."')))
    })
  }

  test('vectors, and what nobody knows', () => {
    assert.equal(JSON.parse(denial(call('openai-embeddings', false), 'No.')).error.message, 'No.')
    assert.equal(denial(call('passthrough', true), 'No.'), 'No.')
  })
})

suite('a stream that is marked', () => {
  async function marked(protocol: Protocol, text: string, level: string | undefined, cut = 7) {
    const stream = new MarkedStream(protocol, async () => level)
    let out = ''
    const whole = Buffer.from(text)
    for (let at = 0; at < whole.length; at += cut)
      out += (await stream.write(whole.subarray(at, at + cut)))?.toString() ?? ''
    return out + ((await stream.end())?.toString() ?? '')
  }
  const events = 'data: {"a":1}\n\nevent: other\ndata: x\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'

  test('says so in its last event', async () => {
    const expected = events.replace('{"b":2}', '{"b":2,"risk_level":"high"}')
    for (const cut of [1, 7, 1000]) assert.equal(await marked('openai-chat', events, 'high', cut), expected)
  })

  test('is as it was where nobody knows, and where there are no such events', async () => {
    assert.equal(await marked('openai-chat', events, undefined), events)
    assert.equal(await marked('bedrock-converse', 'anything', 'high'), 'anything')
  })

  test('that does not end', async () => {
    assert.equal(
      await marked('openai-chat', 'data: {"a":1}\n\ndata: 5', 'none'),
      'data: {"a":1,"risk_level":"none"}\n\n',
    )
  })

  test('of other formats', async () => {
    const claude =
      'event: message_delta\ndata: {"usage":{}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert.match(await marked('anthropic-messages', claude, 'low'), /"usage":\{\},"risk_level":"low"/)
    const done = 'event: response.completed\ndata: {"response":{}}\n\n'
    assert.match(await marked('openai-responses', done, 'low'), /"risk_level":"low"/)
  })
})
