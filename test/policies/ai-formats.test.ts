/** Formats, addresses and choices of services of language models through the wire, against a service that speaks them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { awsMessage } from '../../src/policies/kit/ai/testing.ts'
import { policyGateway, type Received } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-ai-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const usage = { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 }
const chat = '/v1/chat/completions'
/** Two events of a stream, each with a letter that takes two bytes. */
const events =
  'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"ü"}}],"usage":null}\n\n' +
  'data: {"id":"1","choices":[{"index":0,"delta":{"content":"é"},"finish_reason":"stop"}],"usage":null}\n\n' +
  `data: {"choices":[],"usage":${JSON.stringify(usage)}}\n\ndata: [DONE]\n\n`
const frames = Buffer.concat([
  awsMessage('contentBlockDelta', '{"delta":{"text":"Hello"}}'),
  awsMessage('metadata', '{"usage":{"inputTokens":3,"outputTokens":7,"totalTokens":10}}'),
])

/** Near to the first example, to the second, or to none. */
const meanings: Record<string, number[]> = {
  code: [1, 0],
  poems: [0, 2],
  'write code': [9, 1],
  'a rhyme': [1, 9],
}

function answer({ target, body }: Received, response: http.ServerResponse): boolean {
  const asked = body.length === 0 ? {} : JSON.parse(body.toString())
  const json = (value: object, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(value))
  }
  if (target.startsWith('/down')) json({ error: { message: 'down' } }, 503)
  else if (target === '/sick') json({}, 500)
  else if (target === '/well') json({})
  else if (target.startsWith('/v1/embeddings'))
    json({
      data: asked.input.map((text: string, index: number) => ({
        index,
        embedding: meanings[text] ?? [-1, -1],
      })),
    })
  else if (target.endsWith(':predict'))
    json({ predictions: [{ embeddings: { values: [1, 2], statistics: { token_count: 4 } } }] })
  else if (target.endsWith('converse-stream')) {
    response.setHeader('content-type', 'application/vnd.amazon.eventstream')
    pieces(response, frames, 1)
  } else if (target.endsWith('/converse'))
    json({
      output: { message: { content: [{ text: 'Hello' }] } },
      usage: { inputTokens: 3, outputTokens: 7 },
    })
  else if (target.includes('/not-openai')) {
    response.setHeader('content-type', 'text/event-stream')
    response.end('event: message_start\ndata: {"type":"message_start"}\n\n')
  } else if (asked.stream === true) {
    response.setHeader('content-type', 'text/event-stream')
    pieces(response, Buffer.from(events), asked.messages.at(-1).content === 'cut' ? 60 : 1)
  } else json({ id: '1', choices: [{ finish_reason: 'stop', message: { content: 'Hello' } }], usage })
  return true
}

/** Every piece by itself; of more than one byte, only the first, and then nothing. */
async function pieces(response: http.ServerResponse, bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) {
    await new Promise((resolve) => response.write(bytes.subarray(at, at + size), resolve))
    await new Promise(setImmediate)
    if (size > 1) return response.destroy()
  }
  response.end()
}

const bearer = { header: { Authorization: 'Bearer gateway' } }
const aws = { access_key_id: 'id', secret_access_key: 'key', session_token: 'while' }
const gateway = policyGateway((port) => {
  const origin = `http://127.0.0.1:${port}`
  const at = (path: string) => ({ endpoint: origin + path })
  const one = (name: string, path: string, more: object = {}) => ({
    name,
    provider: 'openai',
    weight: 1,
    auth: bearer,
    override: at(`/${path}${chat}`),
    ...more,
  })
  const proxy = (provider: string, more: object) => ({
    'ai-proxy': { provider, auth: bearer, override: at(''), ...more },
  })
  const route = (id: string, plugins: object) => `  - ${JSON.stringify({ id, uri: `/${id}/*`, plugins })}\n`
  const logged = (name: string, more: object = {}) => ({
    'file-logger': { path: join(folder, name), ...more },
  })
  const checks = {
    active: { http_path: '/sick', healthy: { interval: 1 }, unhealthy: { interval: 1, http_failures: 1 } },
  }
  const embeddings = { provider: 'openai', model: 'e', auth: bearer, ...at('') }
  return `
routes:
${route('claude', { ...proxy('openai', { options: { model: 'o' }, logging: { summaries: true, payloads: true } }), ...logged('entries') })}
${route('strange', proxy('openai', { override: at('/not-openai') }))}
${route('few', proxy('openai', { max_response_bytes: 20 }))}
${route('bedrock', { ...proxy('bedrock', { auth: { aws }, provider_conf: { region: 'eu-west-1' } }), ...logged('lines', { log_format: { tokens: '$llm_total_tokens', model: '$llm_model', type: '$request_type', asked: '$request_llm_model' } }) })}
${route('vertex', proxy('vertex-ai', { provider_conf: { project_id: 'p', region: 'r' } }))}
${route('filled', proxy('openai-compatible', { override: { ...at(''), request_body: { 'openai-chat': { top_p: 1, more: { a: 1, b: 2 }, stop: ['x'] } } } }))}
${route('forced', proxy('openai-compatible', { override: { ...at(''), llm_options: { max_tokens: 5 }, request_body_force_override: true, request_body: { 'openai-chat': { max_tokens: 6, more: { a: 1 } } } } }))}
${route('deepseek', proxy('deepseek', {}))}
${route('hashed', { 'ai-proxy-multi': { balancer: { algorithm: 'chash', hash_on: 'header', key: 'x-user' }, instances: [one('a', 'x'), one('b', 'y'), one('c', 'z', { priority: -1 })] } })}
${route('failing', { 'ai-proxy-multi': { fallback_strategy: ['http_5xx'], instances: [one('a', 'down'), one('b', 'down')] } })}
${route('watched', { 'ai-proxy-multi': { instances: [one('a', 'x', { priority: 1, checks }), one('b', 'y', { checks: { active: { ...checks.active, http_path: '/well' } } })] } })}
${route('meant', {
  'ai-proxy-multi': {
    balancer: { algorithm: 'semantic' },
    semantic_opts: { embeddings, threshold: 0.5, fallback: 'poet', debugging: true },
    instances: [one('coder', 'x', { examples: ['code'] }), one('poet', 'y', { examples: ['poems'] })],
  },
})}
`
}, answer)

const hello = { messages: [{ role: 'user', content: 'Hi' }] }
/** What the client got, and what services were asked for it; probes are not. */
async function ask(path: string, body: unknown = hello, headers: Record<string, string> = {}) {
  const before = gateway.received.length
  const answered = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await answered.text()
  const all = gateway.received.slice(before).filter(({ method }) => method === 'POST')
  return { status: answered.status, headers: answered.headers, text, all, seen: all.at(-1) }
}
const sent = ({ seen }: Awaited<ReturnType<typeof ask>>) => JSON.parse(seen!.body.toString())

/** The last line of a log, once it is there. */
async function lastLine(name: string, lines: number): Promise<Record<string, unknown>> {
  for (;;) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '')
    const all = text.split('\n').filter((line) => line !== '')
    if (all.length >= lines) return JSON.parse(all.at(-1)!)
    await pause(20)
  }
}

suite('messages of Anthropic at a service that speaks as OpenAI', () => {
  test('come back as messages, and loggers are told', async () => {
    const headers = { 'x-api-key': 'client', 'anthropic-version': '2023-06-01', cookie: 'c=1' }
    const answered = await ask(
      '/claude/v1/messages',
      { ...hello, model: 'c', max_tokens: 4, top_k: 1 },
      headers,
    )
    assert.equal(answered.status, 200)
    assert.deepEqual(JSON.parse(answered.text), {
      id: '1',
      type: 'message',
      role: 'assistant',
      model: 'o',
      content: [{ type: 'text', text: 'Hello' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 3, output_tokens: 7 },
    })
    assert.deepEqual(sent(answered), { ...hello, model: 'o', max_completion_tokens: 4 })
    assert.equal(answered.seen!.target, chat)
    assert.equal(answered.seen!.headers.authorization, 'Bearer gateway')
    for (const name of ['x-api-key', 'anthropic-version'])
      assert.equal(answered.seen!.headers[name], undefined)
    const entry = await lastLine('entries', 1)
    const summary = entry.llm_summary as Record<string, unknown>
    assert.deepEqual(
      [summary.request_model, summary.model, summary.total_tokens, summary.stream],
      ['c', 'o', 10, 'false'],
    )
    assert.deepEqual(entry.llm_request, { messages: hello.messages, stream: false })
    assert.deepEqual(entry.llm_response_text, { content: 'Hello' })
  })

  test('come back as a stream, wherever the service cuts its own', async () => {
    const answered = await ask('/claude/v1/messages', { ...hello, stream: true })
    assert.equal(answered.headers.get('content-type'), 'text/event-stream')
    const types = Array.from(answered.text.matchAll(/^event: (.*)$/gm), ([, type]) => type)
    assert.deepEqual(types, [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    assert.match(answered.text, /"text":"ü".*"text":"é".*"output_tokens":7/s)
    const entry = await lastLine('entries', 2)
    assert.deepEqual(entry.llm_response_text, { content: 'üé' })
  })

  test('end without an end when the service’s stream does', async () => {
    const cut = { stream: true, messages: [{ role: 'user', content: 'cut' }] }
    const answered = await ask('/claude/v1/messages', cut).catch(() => undefined)
    assert.doesNotMatch(answered?.text ?? '', /message_stop/)
  })

  test('are answered with 502 when the stream is none of OpenAI', async () => {
    const answered = await ask('/strange/v1/messages', { ...hello, stream: true })
    assert.deepEqual([answered.status, /without producing any output/.test(answered.text)], [502, true])
  })

  test('that have nothing to say are refused, and nobody is asked', async () => {
    const answered = await ask('/claude/v1/messages', { model: 'c' })
    assert.deepEqual(
      [answered.status, answered.text, answered.seen],
      [400, '{"error_msg":"missing messages"}\n', undefined],
    )
  })
})

test('a format that a provider does not take at all is refused', async () => {
  const answered = await ask('/deepseek/v1/responses', { input: 'Hi' })
  assert.deepEqual([answered.status, answered.seen], [400, undefined])
  assert.equal(
    answered.text,
    'provider deepseek does not support openai-responses protocol (supported: openai-chat)',
  )
})

test('an answer that is too large is none, also where its length is not told', async () => {
  const answered = await ask(`/few${chat}`)
  assert.deepEqual([answered.status, answered.text], [502, 'max_response_bytes exceeded'])
})

suite('Bedrock', () => {
  test('gets signed requests at the address of the model', async () => {
    const answered = await ask('/bedrock/converse', { ...hello, model: 'a.b:0/c', stream: false })
    assert.equal(JSON.parse(answered.text).output.message.content[0].text, 'Hello')
    const { target, headers } = answered.seen!
    assert.equal(target, '/model/a.b%3A0%2Fc/converse')
    assert.match(
      headers.authorization!,
      /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-west-1\/bedrock\/aws4_request, /,
    )
    assert.equal(headers['x-amz-security-token'], 'while')
    assert.deepEqual(sent(answered), hello)
    const line = await lastLine('lines', 1)
    assert.deepEqual([line.tokens, line.model, line.type], ['10', 'a.b:0/c', 'ai_chat'])
  })

  test('streams in frames, which go on as they are', async () => {
    const answered = await ask('/bedrock/converse', { ...hello, model: 'm', stream: true })
    assert.equal(answered.seen!.target, '/model/m/converse-stream')
    assert.equal(answered.headers.get('content-type'), 'application/vnd.amazon.eventstream')
    assert.match(answered.text, /Hello.*inputTokens/s)
    const line = await lastLine('lines', 2)
    assert.deepEqual([line.tokens, line.type, line.asked], ['10', 'ai_stream', 'm'])
  })

  test('cannot be asked without a model', async () => {
    const answered = await ask('/bedrock/converse')
    assert.deepEqual([answered.status, answered.seen], [400, undefined])
    assert.match(answered.text, /could not resolve upstream path/)
  })
})

test('embeddings are asked of Vertex AI in its own format', async () => {
  const answered = await ask('/vertex/v1/embeddings', { model: 'gecko', input: ['a', ['b', 'c']] })
  assert.equal(answered.seen!.target, '/v1/projects/p/locations/r/publishers/google/models/gecko:predict')
  assert.deepEqual(sent(answered), { instances: [{ content: 'a' }, { content: 'b c' }] })
  assert.deepEqual(JSON.parse(answered.text), {
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [1, 2] }],
    model: 'gecko',
    usage: { prompt_tokens: 4, total_tokens: 4 },
  })
})

suite('fields of the operator', () => {
  test('fill what the client leaves open', async () => {
    const answered = await ask(`/filled${chat}`, { ...hello, top_p: 0, more: { a: 9, c: [] }, stop: [] })
    assert.deepEqual(sent(answered), { ...hello, top_p: 0, more: { a: 9, b: 2, c: [] }, stop: [] })
  })

  test('or take the place of what it says', async () => {
    const answered = await ask(`/forced${chat}`, { ...hello, max_tokens: 9, more: { a: 9, c: 3 } })
    assert.deepEqual(sent(answered), { ...hello, max_tokens: 6, more: { a: 1, c: 3 } })
  })

  test('where there are none, the service gets what the client wrote, byte for byte', async () => {
    const body = '{ "messages" : [{"role":"user","content":"\\u0041"}],\n "n":1.0 }'
    assert.equal((await ask(`/deepseek${chat}`, body)).seen!.body.toString(), body)
  })

  test('names that are special in JavaScript are names like others', async () => {
    const body = '{"messages":[],"more":{"__proto__":{"a":1}}}'
    const answered = await ask(`/filled${chat}`, body)
    assert.match(answered.seen!.body.toString(), /"__proto__":\{"a":1\}/)
  })
})

suite('the choice of an instance', () => {
  test('by a hash stays with the same one, and goes on among equals', async () => {
    const found = new Map<string, Set<string>>()
    for (let i = 0; i < 24; i++) {
      const user = `user${i % 8}`
      const { seen } = await ask(`/hashed${chat}`, hello, { 'x-user': user })
      const names = found.get(user) ?? new Set()
      found.set(user, names.add(seen!.target.split('/')[1]!))
    }
    assert.ok([...found.values()].every((names) => names.size === 1))
    const all = new Set([...found.values()].flatMap((names) => [...names]))
    assert.deepEqual([...all].sort(), ['x', 'y'])
  })

  test('ends with 502 and the last answer when all have failed', async () => {
    const answered = await ask(`/failing${chat}`)
    assert.deepEqual([answered.status, answered.text], [502, '{"error":{"message":"down"}}'])
  })

  test('leaves out those whose probes fail', async () => {
    for (;;) {
      const { seen, status } = await ask(`/watched${chat}`)
      assert.equal(status, 200)
      if (seen?.target.startsWith('/y/')) break
      await pause(100)
    }
    const probe = gateway.received.find(({ target }) => target === '/sick')
    assert.equal(probe?.headers.authorization, undefined)
  })

  for (const [text, scores, picked, path] of [
    ['write code', /^coder:0\.99\d+,poet:0\.1/, 'coder', 'x'],
    ['a rhyme', /^poet:0\.99\d+,coder:0\.1/, 'poet', 'y'],
    ['nonsense', /^(coder|poet):-0\.7071/, 'fallback', 'y'],
  ] as const) {
    test(`by meaning, for ${text}`, async () => {
      const answered = await ask(
        `/meant${chat}`,
        { messages: [{ role: 'user', content: text }] },
        { cookie: 'a=1' },
      )
      assert.match(answered.headers.get('x-ai-semantic-scores')!, scores)
      assert.equal(answered.headers.get('x-ai-semantic-picked-instance'), picked)
      const { all } = answered
      assert.equal(all.at(-1)!.target.split('/')[1], path)
      for (const { target, headers } of all)
        if (target === '/v1/embeddings')
          assert.deepEqual([headers.cookie, headers.authorization], [undefined, 'Bearer gateway'])
    })
  }
})
