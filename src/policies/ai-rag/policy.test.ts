import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Call, CallError } from '../kit/index.ts'
import { bindPolicy, type FakeAnswer, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = {
  embeddings_provider: { azure_openai: { endpoint: 'https://openai.example/embed?v=1', api_key: 'k1' } },
  vector_search_provider: { azure_ai_search: { endpoint: 'https://search.example/find', api_key: 'k2' } },
}
const rag = { embeddings: { input: 'What is it?', dimensions: 3 }, vector_search: { fields: 'content' } }
const vector: FakeAnswer = { body: { data: [{ embedding: [1, 0.5, -2] }] } }

async function send(body: unknown, answers: Record<string, FakeAnswer | Error> = {}, target = '/chat') {
  const asked: Call[] = []
  const run = await runPolicy(policy, {
    config,
    request: {
      method: 'POST',
      target,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { cookie: 'c=1', authorization: 'Bearer client', 'api-key': 'client' },
    },
    service(call: Call) {
      asked.push(call)
      const { hostname } = new URL(call.url)
      const answer =
        answers[hostname] ?? (hostname === 'openai.example' ? vector : { body: 'It is a gateway, é.' })
      if (answer instanceof Error) throw answer
      return answer
    },
  })
  return { run, asked }
}
const sent = (text: string) => JSON.parse(Buffer.from(text, 'latin1').toString()) as unknown

test('what is found becomes a message, and the client stays at home', async () => {
  const { run, asked } = await send({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], ai_rag: rag })
  assert.deepEqual(sent(run.upstream!.body), {
    model: 'm',
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'user', content: 'It is a gateway, é.' },
    ],
  })
  const headers = (key: string) => ({ 'content-type': 'application/json', 'api-key': key })
  assert.deepEqual(
    asked.map(({ url, headers: fields, body }) => [url, fields, JSON.parse(String(body))]),
    [
      ['https://openai.example/embed?v=1', headers('k1'), rag.embeddings],
      [
        'https://search.example/find',
        headers('k2'),
        { vectorQueries: [{ kind: 'vector', vector: [1, 0.5, -2], fields: 'content' }] },
      ],
    ],
  )
})

test('a request that says nothing else, and one of another format', async () => {
  const { run } = await send({ ai_rag: rag })
  assert.deepEqual(sent(run.upstream!.body), {
    messages: [{ role: 'user', content: 'It is a gateway, é.' }],
  })
  const other = await send({ input: 'Hi', ai_rag: rag }, {}, '/v1/responses')
  assert.deepEqual(sent(other.run.upstream!.body), { input: 'Hi\nIt is a gateway, é.' })
})

suite('requests that are refused, of which nobody hears', () => {
  for (const body of [
    '',
    'x',
    '[]',
    {},
    { ai_rag: 5 },
    { ai_rag: [rag] },
    { ai_rag: { embeddings: rag.embeddings } },
    { ai_rag: { ...rag, embeddings: { input: 5 } } },
    { ai_rag: { ...rag, vector_search: { fields: ['content'] } } },
    { ai_rag: { ...rag, vector_search: null } },
    '{"__proto__":{"ai_rag":{}}}',
  ]) {
    test(JSON.stringify(body), async () => {
      const { run, asked } = await send(body)
      assert.deepEqual([run.answer.status, run.upstream, asked.length], [400, undefined, 0])
    })
  }
})

suite('services that do not help', () => {
  for (const [what, host, answer, status, body] of [
    ['one refuses', 'openai.example', { status: 401, body: 'Unauthorized' }, 401, 'Unauthorized'],
    ['the other refuses', 'search.example', { status: 403, body: 'Forbidden' }, 403, 'Forbidden'],
    ['no answer', 'openai.example', new CallError('timeout', 'late'), 500, undefined],
    ['no answer of the other', 'search.example', new CallError('too_large', 'large'), 500, undefined],
    ['no JSON', 'openai.example', { body: '<html>' }, 500, undefined],
    ['no vector', 'openai.example', { body: { data: [] } }, 500, undefined],
    ['a vector that is none', 'openai.example', { body: { data: [{ embedding: 'x' }] } }, 500, undefined],
    ['null', 'openai.example', { body: 'null' }, 500, undefined],
  ] as const) {
    test(what, async () => {
      const { run } = await send({ ai_rag: rag }, { [host]: answer as FakeAnswer | Error })
      assert.equal(run.upstream, undefined)
      assert.equal(run.answer.status, status)
      if (body !== undefined) assert.equal(run.answer.body, body)
    })
  }
})

suite('configurations that are refused', () => {
  const { embeddings_provider: embeddings, vector_search_provider: search } = config
  for (const [wrong, finding] of [
    [{ embeddings_provider: embeddings }, /vector_search_provider/],
    [{ vector_search_provider: search }, /embeddings_provider/],
    [{ ...config, embeddings_provider: {} }, /azure_openai/],
    [{ ...config, ssl_verify: 'no' }, /ssl_verify/],
    [
      { ...config, vector_search_provider: { azure_ai_search: { endpoint: 'x', api_key: 'k' } } },
      /endpoint: .*http:/,
    ],
    [{ ...config, vector_search_provider: { azure_ai_search: { endpoint: 'https://a' } } }, /api_key/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
