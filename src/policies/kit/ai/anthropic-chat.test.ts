import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { AnthropicChat } from './anthropic-chat.ts'
import { isJson, type Json } from './chat.ts'
import { EventStream } from './event-stream.ts'
import { ConversionProblem } from './problem.ts'

const user = { role: 'user', content: 'Hi' }
const ask = (more: Json = {}) =>
  new AnthropicChat('m').request({ model: 'c', max_tokens: 9, messages: [user], ...more })

suite('requests', () => {
  test('have what both formats have, and nothing else', () => {
    const chat = ask({
      system: [
        { type: 'text', text: 'Be ', cache_control: {} },
        { type: 'text', text: 'brief.' },
      ],
      stop_sequences: ['x'],
      temperature: 0,
      metadata: { user_id: 'u' },
      stream: true,
      top_k: 5,
      thinking: { type: 'enabled', budget_tokens: 2048 },
    })
    assert.deepEqual(chat, {
      model: 'c',
      stream: true,
      max_completion_tokens: 9,
      temperature: 0,
      stop: ['x'],
      reasoning_effort: 'medium',
      user: 'u',
      messages: [{ role: 'system', content: 'Be brief.' }, user],
    })
  })

  for (const [thinking, effort] of [
    [{ type: 'enabled' }, 'minimal'],
    [{ type: 'enabled', budget_tokens: 1024 }, 'low'],
    [{ type: 'enabled', budget_tokens: 4096 }, 'high'],
    [{ type: 'adaptive' }, 'medium'],
    [{ type: 'disabled' }, undefined],
  ] as const) {
    test(`${JSON.stringify(thinking)} is the effort ${effort}`, () =>
      assert.equal(ask({ thinking }).reasoning_effort, effort))
  }

  test('name tools as OpenAI takes them, everywhere', () => {
    const long = 'a'.repeat(70)
    const chat = ask({
      tools: [
        { name: long, input_schema: { type: 'object' } },
        { name: 'get.weather', description: 'd' },
        { type: 'bash_20250124', name: 'bash' },
        { name: '' },
        7,
      ],
      tool_choice: { type: 'tool', name: 'get.weather', disable_parallel_tool_use: true },
      messages: [
        user,
        { role: 'assistant', content: [{ type: 'tool_use', id: '1', name: 'get.weather', input: { a: 1 } }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'and?' },
            { type: 'tool_result', tool_use_id: '1', content: [{ type: 'text', text: 'rain' }] },
          ],
        },
      ],
    })
    const names = (chat.tools as { function: { name: string } }[]).map((tool) => tool.function.name)
    assert.equal(names.length, 2)
    assert.match(names[0]!, /^a{55}_[0-9a-f]{8}$/)
    assert.match(names[1]!, /^get_weather_[0-9a-f]{8}$/)
    assert.deepEqual(chat.tool_choice, { type: 'function', function: { name: names[1] } })
    assert.equal(chat.parallel_tool_calls, false)
    const [, called, result, said] = chat.messages as Json[]
    assert.deepEqual(called!.tool_calls, [
      { id: '1', type: 'function', function: { name: names[1], arguments: '{"a":1}' } },
    ])
    assert.deepEqual(result, { role: 'tool', tool_call_id: '1', content: 'rain' })
    assert.deepEqual(said, { role: 'user', content: [{ type: 'text', text: 'and?' }] })
  })

  test('choose among no tools where there are none', () => {
    const chat = ask({ tools: [{ type: 'web_search_1', name: 'w' }], tool_choice: { type: 'any' } })
    assert.deepEqual(
      ['tools', 'tool_choice', 'parallel_tool_calls'].filter((name) => name in chat),
      [],
    )
  })

  test('show pictures and documents', () => {
    const content = [
      { type: 'image', source: { type: 'base64', data: 'AA' } },
      { type: 'image', source: { type: 'url', url: 'http://a/b.png' } },
      { type: 'document', source: { type: 'base64', data: 'AA' } },
      { type: 'image' },
    ]
    const [{ content: parts }] = ask({ messages: [{ role: 'user', content }] }).messages as [Json]
    assert.deepEqual(
      (parts as { image_url: { url: string } }[]).map(({ image_url }) => image_url.url),
      ['data:image/png;base64,AA', 'http://a/b.png', 'data:application/pdf;base64,AA'],
    )
  })

  test('hold to a schema in strict form', () => {
    const schema = { type: 'object', properties: { b: { type: 'object', properties: {} }, a: {} } }
    const { response_format: format } = ask({ output_config: { format: { type: 'json_schema', schema } } })
    assert.deepEqual((format as { json_schema: { schema: unknown } }).json_schema.schema, {
      type: 'object',
      additionalProperties: false,
      properties: { b: { type: 'object', properties: {}, additionalProperties: false, required: [] }, a: {} },
      required: ['a', 'b'],
    })
  })

  for (const [messages, problem] of [
    [undefined, 'missing messages'],
    ['x', 'missing messages'],
    [[], 'missing messages'],
    [[5], 'invalid message at index 1'],
    [[user, { role: 'user', content: 5 }], 'invalid message content at index 2'],
  ] as const) {
    test(`${JSON.stringify(messages)} is refused`, () =>
      assert.throws(() => ask({ messages }), new ConversionProblem(problem)))
  }

  test('leave out what only Anthropic reads, and hand the key over', () => {
    const fields: Record<string, string> = {
      'x-api-key': 'k',
      'anthropic-version': '1',
      'x-stainless-os': 'x',
      a: 'b',
    }
    new AnthropicChat('').fields(fields)
    assert.deepEqual(fields, { authorization: 'Bearer k', a: 'b' })
  })
})

suite('answers', () => {
  test('have thoughts, text, tools and cost', () => {
    const answer = new AnthropicChat('m').answer({
      id: '1',
      choices: [
        {
          finish_reason: 'tool_calls',
          message: {
            reasoning_content: 'hm',
            content: 'a',
            tool_calls: [
              { id: 't', function: { name: 'f', arguments: '{"x":1}' } },
              { id: 'u', function: { name: 'g', arguments: 'no JSON' } },
              null,
            ],
          },
        },
      ],
      usage: { prompt_tokens: 10, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } },
    })
    assert.deepEqual(answer, {
      id: '1',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [
        { type: 'thinking', thinking: 'hm', signature: '' },
        { type: 'text', text: 'a' },
        { type: 'tool_use', id: 't', name: 'f', input: { x: 1 } },
        { type: 'tool_use', id: 'u', name: 'g', input: {} },
      ],
      stop_reason: 'tool_use',
      usage: { input_tokens: 6, output_tokens: 2, cache_read_input_tokens: 4 },
    })
  })

  test('tell errors in the words of the service', () => {
    const answer = new AnthropicChat('m').answer({ error: { code: 'invalid', message: 'no such model' } })
    assert.deepEqual(answer, { type: 'error', error: { type: 'invalid', message: 'no such model' } })
    assert.throws(() => new AnthropicChat('m').answer({}), ConversionProblem)
  })
})

/** What the client gets for a stream, as [type of event, data]. */
function stream(...chunks: unknown[]): [string, Json][] {
  const conversion = new AnthropicChat('m')
  let text = ''
  for (const chunk of chunks) {
    const data = typeof chunk === 'string' ? chunk : JSON.stringify(chunk)
    text += conversion.event({ type: 'message', data })
  }
  return new EventStream().read(Buffer.from(text)).map(({ type, data }) => [type, JSON.parse(data) as Json])
}
const delta = (said: Json, more: Json = {}) => ({
  id: '1',
  model: 'x',
  choices: [{ index: 0, delta: said }],
  ...more,
})
const stop = (reason: unknown, more: Json = {}) => ({
  choices: [{ delta: {}, finish_reason: reason }],
  ...more,
})

suite('streams', () => {
  test('open and close a block for each kind of thing that is said', () => {
    const events = stream(
      delta({ role: 'assistant', reasoning: 'hm' }),
      delta({ content: 'a' }, { usage: null }),
      delta({ content: 'b' }),
      delta({ tool_calls: [{ index: 0, id: 't', function: { name: 'f', arguments: '' } }] }),
      delta({ tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] }),
      stop('tool_calls'),
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 7 } },
      '[DONE]',
    )
    assert.deepEqual(
      events.map(([type]) => type.replace('content_block_', '')),
      [
        'message_start',
        ...['start', 'delta', 'stop'],
        ...['start', 'delta', 'delta', 'stop'],
        ...['start', 'delta', 'stop'],
        'message_delta',
        'message_stop',
      ],
    )
    for (const [type, data] of events) assert.equal(data.type, type)
    const end = events.at(-2)![1]
    assert.deepEqual(end.delta, { stop_reason: 'tool_use' })
    assert.deepEqual(end.usage, { input_tokens: 3, output_tokens: 7 })
    assert.deepEqual(
      events.filter(([, { index }]) => index !== undefined).map(([, { index }]) => index),
      [0, 0, 0, 1, 1, 1, 1, 2, 2, 2],
    )
  })

  for (const [name, chunks] of [
    ['ends twice', [delta({ content: 'a' }), stop('stop'), stop('stop'), '[DONE]', '[DONE]']],
    ['goes on after its end', [delta({ content: 'a' }), stop('stop'), '[DONE]', delta({ content: 'b' })]],
    ['does not say why it ends', [delta({ content: 'a' }), stop(null), stop(''), stop('null'), '[DONE]']],
    ['says nothing', [delta({}), '[DONE]']],
  ] as const) {
    test(`a stream that ${name} stops once`, () => {
      const events = stream(...chunks).map(([type]) => type)
      assert.equal(events.filter((type) => type === 'message_stop').length, 1)
      assert.equal(events.at(-1), 'message_stop')
    })
  }

  test('what is no stream of OpenAI comes to nothing', () => {
    assert.deepEqual(stream('', 'x', '[]', '5', 'null', '[DONE]'), [])
  })

  test('members of wrong types are nobody’s end', () => {
    const wrong = [
      null,
      5,
      'x',
      [],
      {},
      [null],
      [{ delta: 5 }],
      [{ delta: { content: 5, tool_calls: [5, {}] } }],
    ]
    for (const choices of wrong) assert.ok(isJson(stream({ choices }, '[DONE]').at(-1)![1]))
  })
})
