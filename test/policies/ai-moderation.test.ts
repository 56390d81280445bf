/** What clients and models say, judged by services that speak their real formats. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

interface Asked {
  url: string
  headers: http.IncomingHttpHeaders
  text: string
}

/** What models got, and what the judges did. */
const models: Asked[] = []
const judges: Asked[] = []

/** The model says what the last message says, streamed or not; a judge finds whatever holds `bad` to be so. */
const server = http.createServer(async (request, response) => {
  let text = ''
  for await (const piece of request) text += piece
  const one = { url: request.url!, headers: request.headers, text }
  const how = request.url!.split('/')[1]!
  response.setHeader('content-type', 'application/json')
  if (how === 'model') {
    models.push(one)
    say(response, JSON.parse(text))
    return
  }
  judges.push(one)
  if (how === 'broken' || text.includes('breaking')) response.writeHead(503)
  const isBad = text.includes('bad')
  if (request.headers['x-amz-target'] !== undefined) {
    const { TextSegments: segments } = JSON.parse(text) as { TextSegments: { Text: string }[] }
    const results = segments.map(({ Text: said }) => ({
      Labels: [{ Name: 'INSULT', Score: said.includes('rude') ? 0.9 : 0.1 }],
      Toxicity: said.includes('bad') ? 0.9 : 0.1,
    }))
    response.end(JSON.stringify({ ResultList: results }))
  } else if (how === 'lakera')
    response.end(
      JSON.stringify({
        flagged: isBad,
        breakdown: [
          { detector_type: 'prompt_attack', detected: isBad, result: 'l1_confident' },
          { detector_type: 'pii', detected: false },
        ],
      }),
    )
  else
    response.end(
      JSON.stringify({ Data: { RiskLevel: isBad ? 'high' : 'low', Advice: [{ Answer: 'Let us not.' }] } }),
    )
})

type Messages = { role: string; content: string }[]

function say(response: http.ServerResponse, body: { stream?: boolean; messages: Messages; cost?: boolean }) {
  const said = body.messages.at(-1)!.content.replace('good', 'bad')
  const usage = body.cost === false ? undefined : { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
  if (body.stream !== true) {
    response.end(JSON.stringify({ choices: [{ message: { role: 'assistant', content: said } }], usage }))
    return
  }
  response.setHeader('content-type', 'text/event-stream')
  const events = said.split(' ').map((word) => ({ choices: [{ delta: { content: `${word} ` } }] }))
  const last = { choices: [], usage: usage ?? null }
  const pieces = [...events, last].map((event) => `data: ${JSON.stringify(event)}\n\n`)
  const next = () => {
    const piece = pieces.shift()
    if (piece === undefined) response.end('data: [DONE]\n\n')
    else response.write(piece, () => setImmediate(next))
  }
  next()
}

let origin = ''
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => {
  server.closeAllConnections()
  server.close()
})

const model = () => ({
  provider: 'openai',
  auth: { header: { Authorization: 'Bearer gateway' } },
  override: { endpoint: `${origin}/model/v1/chat/completions` },
})
const short = () => ({ 'ai-proxy': { ...model(), max_response_bytes: 500 } })
const lakera = (more: object) => ({
  'ai-lakera-guard': { api_key: 'k', lakera_endpoint: `${origin}/lakera`, ...more },
})
const aws = (more: object) => ({
  'ai-aws-content-moderation': {
    comprehend: { access_key_id: 'id', secret_access_key: 'secret', region: 'eu-west-1', endpoint: origin },
    moderation_categories: { INSULT: 0.5 },
    ...more,
  },
})
const aliyun = (more: object) => ({
  'ai-aliyun-content-moderation': {
    endpoint: origin,
    region_id: 'cn',
    access_key_id: 'id',
    access_key_secret: 'secret',
    ...more,
  },
})
const route = (id: string, plugins: object) =>
  JSON.stringify({ id, uri: `/${id}/*`, plugins: { 'ai-proxy': model(), ...plugins } })
const plain = (id: string, plugins: object) =>
  JSON.stringify({ id, uri: `/${id}/*`, upstream_id: 'u', plugins })

const both = { check_response: true }
const gateway = policyGateway(
  () => `
routes:
  - ${route('lakera', lakera({ direction: 'both', deny_code: 400, reveal_failure_categories: true, project_id: 'p' }))}
  - ${route('alert', lakera({ direction: 'both', action: 'alert', fail_open: true }))}
  - ${route('short', { ...short(), ...lakera({ direction: 'output' }) })}
  - ${route('short-open', { ...short(), ...lakera({ direction: 'output', fail_open: true }) })}
  - ${route('closed', lakera({ lakera_endpoint: `${origin}/broken` }))}
  - ${route('open', lakera({ lakera_endpoint: `${origin}/broken`, fail_open: true }))}
  - ${route('aws', aws({ ...both, deny_code: 403 }))}
  - ${route('aws-users', aws({ request_check_roles: ['user'], request_check_mode: 'last', deny_message: 'No.' }))}
  - ${route('aws-soon', aws({ ...both, check_request: false, stream_check_mode: 'realtime', stream_check_cache_size: 1 }))}
  - ${route('aliyun', aliyun({ ...both, request_check_length_limit: 20 }))}
  - ${route('aliyun-soon', aliyun({ ...both, check_request: false, stream_check_mode: 'realtime', stream_check_cache_size: 1, deny_message: 'No.' }))}
  - ${route('all', { ...lakera({ direction: 'output' }), ...aws(both), ...aliyun(both) })}
  - ${plain('none', { ...lakera({}), ...aws({}), ...aliyun({}) })}
  - ${plain('refused', lakera({ fail_mode: 'error' }))}
  - ${plain('refused-aws', aws({ fail_mode: 'error' }))}
`,
)

async function ask(where: string, said: string | Messages, more: object = {}) {
  const messages = typeof said === 'string' ? [{ role: 'user', content: said }] : said
  models.length = 0
  judges.length = 0
  const answered = await gateway.send(`/${where}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer client', cookie: 'c=1' },
    body: JSON.stringify({ model: 'm', messages, ...more }),
  })
  return { ...answered, asked: models.length }
}
const content = (text: string) => JSON.parse(text).choices[0].message.content as string
const stream = { stream: true }

suite('ai-lakera-guard', () => {
  test('asks with what was said, and nothing else of the client', async () => {
    const { status, asked, text } = await ask('lakera', 'hello')
    assert.deepEqual([status, asked, content(text)], [200, 1, 'hello'])
    const [question, answer] = judges as [Asked, Asked]
    assert.deepEqual(
      [question.headers.authorization, question.headers.cookie, JSON.parse(question.text)],
      [
        'Bearer k',
        undefined,
        { messages: [{ role: 'user', content: 'hello' }], breakdown: true, project_id: 'p' },
      ],
    )
    assert.deepEqual(JSON.parse(answer.text).messages, [{ role: 'assistant', content: 'hello' }])
  })

  test('denies a request, of which the model hears nothing', async () => {
    const { status, asked, text, headers } = await ask('lakera', 'bad words')
    assert.deepEqual([status, asked, headers.get('content-type')], [400, 0, 'application/json'])
    assert.equal(
      content(text),
      'Request blocked by Lakera Guard. Flagged categories: prompt_attack (l1_confident)',
    )
  })

  test('denies an answer', async () => {
    const { status, asked, text } = await ask('lakera', 'good words')
    assert.deepEqual([status, asked], [400, 1])
    assert.match(content(text), /^Response blocked by Lakera Guard/)
    assert.doesNotMatch(text, /bad/)
  })

  test('holds a stream back until it is known', async () => {
    const good = await ask('lakera', 'hello there', stream)
    assert.match(good.text, /^:\n\n.*hello.*there.*\[DONE\]\n\n$/s)
    const bad = await ask('lakera', 'good words', stream)
    assert.match(bad.text, /Response blocked by Lakera Guard.*\[DONE\]\n\n$/s)
    assert.doesNotMatch(bad.text, /bad|words/)
    assert.equal(bad.headers.get('content-type'), 'text/event-stream')
  })

  test('denies a stream that does not end as one should', async () => {
    const { text } = await ask('lakera', 'hello', { stream: true, cost: false })
    assert.match(text, /Response blocked by Lakera Guard/)
    assert.doesNotMatch(text, /hello/)
  })

  test('denies a stream that is broken off, or lets out what there is of it', async () => {
    const long = Array(50).fill('word').join(' ')
    const closed = await ask('short', long, stream)
    assert.match(closed.text, /Response blocked by Lakera Guard.*\[DONE\]\n\n$/s)
    assert.doesNotMatch(closed.text, /word/)
    await assert.rejects(ask('short-open', long, stream))
  })

  test('only tells the log where it should', async () => {
    const { status, text } = await ask('alert', 'bad words', stream)
    assert.deepEqual([status, judges.length], [200, 2])
    assert.match(text, /^data: .*bad.*\[DONE\]\n\n$/s)
    assert.match(gateway.output(), /Lakera Guard flagged a response/)
    assert.doesNotMatch(gateway.output(), /bad words/)
  })

  test('closed or open, when it gets no answer', async () => {
    const closed = await ask('closed', 'hello')
    assert.deepEqual([closed.asked, content(closed.text)], [0, 'Request blocked by Lakera Guard'])
    const open = await ask('open', 'hello')
    assert.deepEqual([open.asked, content(open.text)], [1, 'hello'])
  })
})

suite('ai-aws-content-moderation', () => {
  test('asks in segments that are signed', async () => {
    const long = 'é'.repeat(6000)
    const { status, asked } = await ask('aws', [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: long },
    ])
    assert.deepEqual([status, asked], [200, 1])
    const segments = judges.flatMap(({ text }) => JSON.parse(text).TextSegments as { Text: string }[])
    const texts = segments.map(({ Text: said }) => said)
    assert.equal(texts.join(''), `Be brief. ${long}${long}`)
    for (const one of texts) assert.ok(Buffer.byteLength(one) <= 1000)
    const [{ headers, url, text }] = judges as [Asked]
    assert.deepEqual([url, JSON.parse(text).LanguageCode], ['/', 'en'])
    assert.equal(headers['x-amz-target'], 'Comprehend_20171127.DetectToxicContent')
    assert.match(headers.authorization!, /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-west-1\/comprehend\//)
    assert.equal(headers.cookie, undefined)
  })

  test('denies a request for its toxicity or its category', async () => {
    const toxic = await ask('aws', 'bad words')
    assert.deepEqual(
      [toxic.status, toxic.asked, content(toxic.text)],
      [403, 0, 'request body exceeds toxicity threshold'],
    )
    const rude = await ask('aws', 'rude words')
    assert.deepEqual([rude.asked, content(rude.text)], [0, 'request body exceeds INSULT threshold'])
  })

  test('denies an answer, and marks a stream', async () => {
    const { status, text } = await ask('aws', 'good words')
    assert.deepEqual([status, content(text)], [403, 'response body exceeds toxicity threshold'])
    const streamed = await ask('aws', 'good words', stream)
    assert.equal(streamed.status, 200)
    const marked = streamed.text.split('\n\n').filter((event) => event.includes('risk_level'))
    assert.deepEqual([marked.length, /"risk_level":"high"/.test(marked[0]!)], [1, true])
    assert.match(streamed.text, /bad.*words.*\[DONE\]\n\n$/s)
    assert.match((await ask('aws', 'hello', stream)).text, /"risk_level":"none"/)
  })

  test('ends a stream where it gets bad', async () => {
    const { text } = await ask('aws-soon', 'first good last', stream)
    assert.match(text, /first.*response body exceeds toxicity threshold.*\[DONE\]\n\n$/s)
    assert.doesNotMatch(text, /bad|last/)
  })

  test('looks at whom it is told to, whatever name they give themselves', async () => {
    const system = { role: 'system', content: 'bad' }
    const passed = await ask('aws-users', [system, { role: 'user', content: 'hello' }])
    assert.equal(passed.asked, 1)
    const earlier = [
      { role: 'user', content: 'bad' },
      { role: 'assistant', content: 'x' },
      { role: 'user', content: 'y' },
    ]
    assert.equal((await ask('aws-users', earlier)).asked, 1)
    const posing = await ask('aws-users', [{ role: 'User', content: 'bad' }])
    assert.deepEqual([posing.asked, content(posing.text)], [0, 'No.'])
  })

  test('lets nothing pass that was not judged, but for streams', async () => {
    const { status, text, asked } = await ask('aws', 'breaking')
    assert.deepEqual([status, text, asked], [500, 'comprehend answers 503', 0])
    const streamed = await ask('aws-soon', 'breaking', stream)
    assert.match(streamed.text, /breaking.*\[DONE\]/s)
  })
})

suite('ai-aliyun-content-moderation', () => {
  test('asks with a signed form, in pieces', async () => {
    const { status } = await ask('aliyun', 'words that go on and on and on')
    assert.equal(status, 200)
    const forms = judges.map(({ text }) => new URLSearchParams(text))
    const said = forms.map((form) => JSON.parse(form.get('ServiceParameters')!) as Record<string, string>)
    assert.deepEqual(
      said.map((one) => one.content),
      ['words that go on and', ' on and on', 'words that go on and on and on'],
    )
    assert.equal(new Set(said.map((one) => one.sessionId)).size, 1)
    assert.deepEqual(
      forms.map((form) => form.get('Service')),
      ['llm_query_moderation', 'llm_query_moderation', 'llm_response_moderation'],
    )
    assert.equal(forms[0]!.get('Action'), 'TextModerationPlus')
    assert.equal(new Set(forms.map((form) => form.get('SignatureNonce'))).size, 3)
    assert.match(forms[0]!.get('Signature')!, /^[\w+/]{27}=$/)
  })

  test('denies requests and answers in the words of the service', async () => {
    const request = await ask('aliyun', 'bad words')
    assert.deepEqual([request.status, request.asked, content(request.text)], [200, 0, 'Let us not.'])
    const answer = await ask('aliyun', 'good words')
    assert.deepEqual([answer.status, answer.asked, content(answer.text)], [200, 1, 'Let us not.'])
    assert.match((await ask('aliyun', 'good words', stream)).text, /"risk_level":"high"/)
    const soon = await ask('aliyun-soon', 'first good last', stream)
    assert.match(soon.text, /first.*No\..*\[DONE\]\n\n$/s)
    assert.doesNotMatch(soon.text, /bad|last/)
  })

  test('lets pass what nobody judges', async () => {
    const { status, text } = await ask('aliyun', 'breaking')
    assert.deepEqual([status, content(text)], [200, 'breaking'])
  })
})

test('one after the other, each looks at what is left', async () => {
  const { text } = await ask('all', 'hello', stream)
  assert.match(text, /^:\n\n.*hello.*"risk_level":"low".*\[DONE\]\n\n$/s)
  assert.match((await ask('all', 'good', stream)).text, /Response blocked by Lakera Guard/)
})

test('a request that asks no model passes, or is refused where it should be', async () => {
  assert.equal((await ask('none', 'bad words')).seen?.body.includes('bad words'), true)
  for (const [path, name] of [
    ['refused', 'ai-lakera-guard'],
    ['refused-aws', 'ai-aws-content-moderation'],
  ] as const) {
    const { status, text, seen } = await ask(path, 'hello')
    const reason = `no ai instance picked, ${name} plugin must be used with ai-proxy or ai-proxy-multi plugin`
    assert.deepEqual([status, text, seen], [500, reason, undefined])
  }
})

test('keys are in no log', () => {
  assert.doesNotMatch(gateway.output(), /Bearer k|secret/)
})
