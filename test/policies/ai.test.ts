/** Requests to language models through the wire, against a provider that speaks its real format. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

interface Asked {
  url: string
  headers: http.IncomingHttpHeaders
  body: Record<string, unknown>
}

/** What the providers got. */
const asked: Asked[] = []
const usage = { prompt_tokens: 3, completion_tokens: 7, total_tokens: 10 }

/** Answers as OpenAI and Anthropic do; what is said in the path before that decides how well. */
const provider = http.createServer(async (request, response) => {
  let text = ''
  for await (const piece of request) text += piece
  const body = JSON.parse(text) as Record<string, unknown>
  asked.push({ url: request.url!, headers: request.headers, body })
  const [, how] = request.url!.split('/')
  if (how === 'vectors' || how === 'index') {
    const isRefused = request.headers['api-key'] !== 'of-the-gateway'
    response.writeHead(isRefused ? 401 : 200, { 'content-type': 'application/json' })
    response.end(isRefused ? 'Unauthorized' : '{"data":[{"embedding":[0.5,-1]}]}')
  } else if (how === 'busy' || how === 'down') {
    response.writeHead(how === 'busy' ? 429 : 503, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { message: how } }))
  } else if (how === 'gone') request.socket.destroy()
  else if (how === 'silent') return
  else if (request.url!.includes('/v1/messages')) {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ type: 'message', usage: { input_tokens: 3, output_tokens: 7 } }))
  } else if (body.stream === true) stream(response, how === 'cut')
  else {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ choices: [{ message: { role: 'assistant', content: 'Hello' } }], usage }))
  }
})

function stream(response: http.ServerResponse, isCut: boolean) {
  response.setHeader('content-type', 'text/event-stream')
  response.write('data: {"choices":[{"delta":{"content":"Hel"}}],"usage":null}\n\n')
  if (isCut) {
    setImmediate(() => response.destroy())
    return
  }
  response.write('data: {"choices":[{"delta":{"content":"lo"}}],"us')
  setImmediate(() => {
    response.write(`age":null}\n\ndata: {"choices":[],"usage":${JSON.stringify(usage)}}\n\n`)
    response.end('data: [DONE]\n\n')
  })
}

let origin = ''
// Before the gateway starts: hooks run in the order of their registration.
before(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
})
after(() => {
  provider.closeAllConnections()
  provider.close()
})

const key = { header: { Authorization: 'Bearer gateway' } }
const chat = '/v1/chat/completions'
const at = (how: string) => ({ endpoint: `${origin}/${how}${chat}` })
const route = (id: string, plugins: object) => JSON.stringify({ id, uri: `/${id}/*`, plugins })
const one = (name: string, how: string, more: object = {}) => ({
  name,
  provider: 'openai',
  weight: 1,
  auth: key,
  override: at(how),
  ...more,
})

const rag = (key: string) => ({
  embeddings_provider: {
    azure_openai: { endpoint: `${origin}/vectors/made?v=1`, api_key: 'of-the-gateway' },
  },
  vector_search_provider: { azure_ai_search: { endpoint: `${origin}/index`, api_key: key } },
})

const gateway = policyGateway(
  () => `
routes:
  - ${route('plain', { 'ai-proxy': { provider: 'openai', auth: key, options: { model: 'm1' }, override: { endpoint: origin, llm_options: { max_tokens: 5 } } } })}
  - ${route('claude', { 'ai-proxy': { provider: 'anthropic', auth: { header: { 'x-api-key': 'k' }, query: { q: 'a b' } }, override: { endpoint: origin } } })}
  - ${route('busy', { 'ai-proxy': { provider: 'openai', auth: key, override: at('busy') } })}
  - ${route('gone', { 'ai-proxy': { provider: 'openai', auth: key, override: at('gone') } })}
  - ${route('silent', { 'ai-proxy': { provider: 'openai', auth: key, override: at('silent'), timeout: 300 } })}
  - ${route('cut', { 'ai-proxy': { provider: 'openai', auth: key, override: at('cut') } })}
  - ${route('small', { 'ai-proxy': { provider: 'openai', auth: key, override: at('ok'), max_response_bytes: 20, max_req_body_size: 200 } })}
  - ${route('limited', { 'ai-proxy': { provider: 'openai', auth: key, override: at('ok') }, 'ai-rate-limiting': { limit: 15, time_window: 600, rejected_code: 429, rejected_msg: 'enough' } })}
  - ${route('multi', { 'ai-proxy-multi': { fallback_strategy: ['http_429', 'http_5xx'], instances: [one('a', 'busy', { priority: 2 }), one('b', 'gone', { priority: 1 }), one('c', 'ok')] } })}
  - ${route('alone', { 'ai-proxy-multi': { instances: [one('a', 'busy', { priority: 2 }), one('b', 'ok')] } })}
  - ${route('turns', { 'ai-proxy-multi': { instances: [one('a', 'x', { weight: 2 }), one('b', 'y')] } })}
  - ${route('rates', {
    'ai-proxy-multi': {
      fallback_strategy: ['rate_limiting'],
      instances: [one('a', 'x', { priority: 1 }), one('b', 'y')],
    },
    'ai-rate-limiting': { instances: [{ name: 'a', limit: 10, time_window: 600 }] },
  })}
  - ${route('spent', {
    'ai-proxy-multi': { fallback_strategy: ['rate_limiting'], instances: [one('a', 'x'), one('b', 'y')] },
    'ai-rate-limiting': { limit: 10, time_window: 600 },
  })}
  - ${route('counted', {
    'ai-proxy': { provider: 'openai', auth: key, options: { model: 'm1' }, override: at('ok') },
    prometheus: {},
  })}
  - ${JSON.stringify({ id: 'metrics', uri: '/metrics', plugins: { 'public-api': { uri: '/apisix/prometheus/metrics' } } })}
  - ${route('cost', {
    'ai-proxy': { provider: 'openai', auth: key, override: at('ok') },
    'ai-rate-limiting': {
      limit: '$http_x_limit',
      time_window: 600,
      limit_strategy: 'expression',
      cost_expr: 'prompt_tokens * 2 + completion_tokens + missing',
    },
  })}
  - ${route('rules', {
    'ai-proxy': { provider: 'openai', auth: key, override: at('ok') },
    'ai-rate-limiting': {
      rules: [
        { count: 10, time_window: 600, key: '$http_x_user' },
        { count: 15, time_window: 600, key: '$http_x_team', header_prefix: 'Team' },
      ],
    },
  })}
  - ${JSON.stringify({ id: 'rewritten', uri: '/rewritten', upstream_id: 'u', plugins: { 'ai-request-rewrite': { prompt: 'In French.', provider: 'openai', auth: key, override: at('ok') } } })}
  - ${JSON.stringify({ id: 'looked-up', uri: '/looked-up', upstream_id: 'u', plugins: { 'ai-rag': rag('of-the-gateway') } })}
  - ${JSON.stringify({ id: 'not-looked-up', uri: '/not-looked-up', upstream_id: 'u', plugins: { 'ai-rag': rag('other') } })}
  - ${route('decorated', {
    'ai-prompt-decorator': { prepend: [{ role: 'system', content: 'Be brief.' }] },
    'ai-prompt-guard': { deny_patterns: ['secret'] },
    'ai-proxy': { provider: 'openai', auth: key, override: at('ok') },
  })}
`,
)

const hello = { messages: [{ role: 'user', content: 'Hi' }] }
function ask(path: string, body: unknown = hello, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return gateway.send(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text,
  })
}

suite('ai-proxy', () => {
  test('asks the service in its own words, and passes its answer on', async () => {
    const answered = await ask(
      `/plain${chat}`,
      { ...hello, model: 'own', max_tokens: 99 },
      {
        authorization: 'Bearer client',
        'x-trace': 't',
        cookie: 'c=1',
      },
    )
    assert.deepEqual([answered.status, JSON.parse(answered.text).choices[0].message.content], [200, 'Hello'])
    assert.equal(answered.headers.get('content-type'), 'application/json')
    const { url, headers, body } = asked.at(-1)!
    assert.equal(url, chat)
    assert.deepEqual([headers.authorization, headers['x-trace']], ['Bearer gateway', 't'])
    assert.deepEqual(body, { ...hello, model: 'm1', max_completion_tokens: 5 })
  })

  test('takes the format of Anthropic, with keys in fields and query', async () => {
    const answered = await ask('/claude/v1/messages')
    assert.equal(answered.status, 200)
    const { url, headers } = asked.at(-1)!
    assert.deepEqual([url, headers['x-api-key']], ['/v1/messages?q=a+b', 'k'])
  })

  test('passes a stream on as it comes, and asks for its cost', async () => {
    const answered = await ask(`/plain${chat}`, { ...hello, stream: true })
    assert.equal(answered.headers.get('content-type'), 'text/event-stream')
    assert.match(answered.text, /"Hel".*"lo".*"total_tokens":10.*data: \[DONE\]\n\n$/s)
    assert.deepEqual(asked.at(-1)!.body.stream_options, { include_usage: true })
  })

  test('breaks a stream off that breaks off', async () => {
    await assert.rejects(ask(`/cut${chat}`, { ...hello, stream: true }))
  })

  test('passes on what the service refuses, and says when there is no answer', async () => {
    const busy = await ask(`/busy${chat}`)
    assert.deepEqual([busy.status, busy.text], [429, '{"error":{"message":"busy"}}'])
    assert.equal((await ask(`/gone${chat}`)).status, 500)
    assert.equal((await ask(`/silent${chat}`)).status, 504)
  })

  for (const [name, body, headers, status] of [
    ['nothing', '', {}, 400],
    ['no JSON', 'x', {}, 400],
    ['a list', '[]', {}, 400],
    ['an empty object', '{}', {}, 400],
    ['a form', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }, 400],
    ['too much', JSON.stringify({ messages: ['x'.repeat(300)] }), {}, 413],
  ] as const) {
    test(`refuses ${name}, and asks nobody`, async () => {
      const before = asked.length
      assert.equal((await ask(`/small${chat}`, body, headers)).status, status)
      assert.equal(asked.length, before)
    })
  }

  test('passes on no answer that is too large', async () => {
    assert.equal((await ask(`/small${chat}`)).status, 502)
  })
})

suite('ai-proxy-multi', () => {
  test('asks the next instance while one fails', async () => {
    const before = asked.length
    const answered = await ask(`/multi${chat}`)
    assert.equal(answered.status, 200)
    assert.deepEqual(
      asked.slice(before).map(({ url }) => url.split('/')[1]),
      ['busy', 'gone', 'ok'],
    )
  })

  test('asks one alone without a strategy', async () => {
    assert.equal((await ask(`/alone${chat}`)).status, 429)
  })

  test('gives turns by weight', async () => {
    const before = asked.length
    for (let i = 0; i < 6; i++) await ask(`/turns${chat}`)
    const turns = asked.slice(before).map(({ url }) => url.split('/')[1])
    assert.deepEqual(turns.sort(), ['x', 'x', 'x', 'x', 'y', 'y'])
  })
})

suite('ai-rate-limiting', () => {
  test('counts what answers cost, streamed or not, and rejects beyond the limit', async () => {
    const first = await ask(`/limited${chat}`)
    assert.equal(first.headers.get('x-ai-ratelimit-limit-ai-proxy-openai'), '15')
    assert.equal(first.headers.get('x-ai-ratelimit-remaining-ai-proxy-openai'), '15')
    const second = await ask(`/limited${chat}`, { ...hello, stream: true })
    assert.equal(second.headers.get('x-ai-ratelimit-remaining-ai-proxy-openai'), '5')
    const before = asked.length
    const third = await ask(`/limited${chat}`)
    assert.deepEqual([third.status, JSON.parse(third.text)], [429, { error_msg: 'enough' }])
    assert.equal(asked.length, before)
  })

  test('counts what an expression says, up to a limit out of the request', async () => {
    const few = { 'x-limit': '20' }
    const first = await ask(`/cost${chat}`, hello, few)
    assert.equal(first.headers.get('x-ai-ratelimit-remaining-ai-proxy-openai'), '20')
    const second = await ask(`/cost${chat}`, { ...hello, stream: true }, few)
    assert.equal(second.headers.get('x-ai-ratelimit-remaining-ai-proxy-openai'), '7')
    assert.equal((await ask(`/cost${chat}`, hello, few)).status, 503)
    const wrong = await ask(`/cost${chat}`, hello, { 'x-limit': 'many' })
    assert.equal(wrong.status, 500)
  })

  test('counts by every rule that applies', async () => {
    const before = asked.length
    const one = { 'x-user': 'a', 'x-team': 't' }
    const first = await ask(`/rules${chat}`, hello, one)
    assert.equal(first.headers.get('x-ai-1-ratelimit-remaining'), '10')
    assert.equal(first.headers.get('x-ai-team-ratelimit-limit'), '15')
    assert.equal((await ask(`/rules${chat}`, hello, one)).status, 503)
    const other = await ask(`/rules${chat}`, hello, { 'x-user': 'b', 'x-team': 't' })
    assert.deepEqual([other.status, other.headers.get('x-ai-team-ratelimit-remaining')], [200, '5'])
    assert.equal((await ask(`/rules${chat}`, hello, { 'x-team': 't' })).status, 503)
    assert.equal((await ask(`/rules${chat}`)).status, 500)
    assert.equal(asked.length, before + 2)
  })

  test('an instance that has no tokens left is passed over', async () => {
    const before = asked.length
    for (let i = 0; i < 3; i++) await ask(`/rates${chat}`)
    const turns = asked.slice(before).map(({ url }) => url.split('/')[1])
    assert.deepEqual(turns, ['x', 'y', 'y'])
  })

  test('when no instance has tokens left, none is asked', async () => {
    assert.equal((await ask(`/spent${chat}`)).status, 200)
    const before = asked.length
    const answered = await ask(`/spent${chat}`)
    assert.deepEqual([answered.status, answered.text, asked.length], [503, 'all servers tried', before])
  })
})

test('a body is rewritten by a model before the upstream gets it', async () => {
  const answered = await ask('/rewritten', 'Salut', { cookie: 'c=1' })
  assert.equal(answered.seen!.body.toString(), 'Hello')
  const { headers, body } = asked.at(-1)!
  assert.deepEqual([headers.cookie, headers.authorization], [undefined, 'Bearer gateway'])
  assert.deepEqual(body.messages, [
    { role: 'system', content: 'In French.' },
    { role: 'user', content: 'Salut' },
  ])
})

test('what is known is looked up before the upstream gets a request', async () => {
  const question = { embeddings: { input: 'What?' }, vector_search: { fields: 'content' } }
  const answered = await ask('/looked-up', { ...hello, ai_rag: question }, { 'api-key': 'client' })
  assert.deepEqual(JSON.parse(answered.seen!.body.toString()), {
    messages: [...hello.messages, { role: 'user', content: '{"data":[{"embedding":[0.5,-1]}]}' }],
  })
  const [made, found] = asked.slice(-2) as [Asked, Asked]
  assert.deepEqual([made.url, made.body], ['/vectors/made?v=1', { input: 'What?' }])
  assert.deepEqual(found.body, {
    vectorQueries: [{ kind: 'vector', vector: [0.5, -1], fields: 'content' }],
  })
  const refused = await ask('/not-looked-up', { ...hello, ai_rag: question })
  assert.deepEqual([refused.status, refused.text, refused.seen], [401, 'Unauthorized', undefined])
  const before = asked.length
  const wrong = await ask('/looked-up', { ...hello, ai_rag: [question] })
  assert.deepEqual([wrong.status, wrong.seen, asked.length], [400, undefined, before])
})

test('prompts are decorated and guarded before the service is asked', async () => {
  await ask(`/decorated${chat}`)
  assert.deepEqual(asked.at(-1)!.body.messages, [{ role: 'system', content: 'Be brief.' }, ...hello.messages])
  const before = asked.length
  const denied = await ask(`/decorated${chat}`, { messages: [{ role: 'user', content: 'secret' }] })
  assert.deepEqual([denied.status, asked.length], [400, before])
})

test('metrics tell of models, tokens, times and what is under way', async () => {
  await ask(`/counted${chat}`)
  await ask(`/counted${chat}`, { ...hello, model: 'm'.repeat(200) })
  const { text } = await gateway.send('/metrics')
  const place = 'route_id="counted",service_id="",consumer="",node="ai-proxy-openai",request_type="ai_chat"'
  const value = (start: string) => {
    const lines = text.split('\n').filter((line) => line.startsWith(start))
    assert.equal(lines.length, 1, `${start}: ${lines.join('; ')}\n${text.slice(-3000)}`)
    return Number(lines[0]!.split('} ')[1])
  }
  const models = 'request_llm_model="",llm_model="m1"'
  assert.ok(value(`apisix_llm_prompt_tokens{${place},${models}}`) > 0)
  assert.ok(value(`apisix_llm_completion_tokens{${place},${models}}`) > 0)
  assert.equal(value(`apisix_llm_prompt_tokens_dist_count{${place},${models}}`), 1)
  assert.equal(value(`apisix_llm_latency_count{type="total",${place},${models}}`), 1)
  assert.equal(
    value(`apisix_llm_prompt_tokens_dist_count{${place},request_llm_model="${'m'.repeat(128)}"`),
    1,
  )
  assert.match(text, /apisix_llm_active_connections\{[^}]*route_id="counted"[^}]*llm_model="m1"\} 0/)
  assert.match(
    text,
    /apisix_http_status\{code="200",route="counted"[^}]*request_type="ai_chat"[^}]*llm_model="m1"/,
  )
})
