/** Loggers of products over HTTP, each at a stub that reads what was sent as the product would; and what becomes of traffic when one fails. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { type LogAnswer, type LogRequest, logServer } from '../../src/policies/kit/logging/testing.ts'
import {
  assertDiscreet,
  assertEntry,
  assertHeaders,
  base64,
  loggedTarget,
  loggingGateway,
  logRoute,
  ofCaller,
  ofGateway,
} from '../harness/logging-gateway.ts'

/** A product that takes entries over HTTP. */
interface Product {
  policy: string
  config(url: string): object
  /** What it was told about one exchange. */
  check(request: LogRequest): void
  /** Its answer to a request that brings no entries. */
  aside?(request: LogRequest): LogAnswer | undefined
  /** Ways to take none of them, beside those that all have. */
  refusals?: LogAnswer[]
  /** Exchanges until a batch leaves, and entries of it. Default: 1. */
  exchanges?: number
  entries?: number
}

const single = { batch_max_size: 1 }
const bodies = { ...single, include_req_body: true }
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const googleAccount = (url: string, token: string) => ({
  client_email: 'gateway@shop.example',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  project_id: 'shop',
  token_uri: url + token,
  entries_uri: `${url}/v2/entries:write`,
  scope: ['https://www.googleapis.com/auth/logging.write'],
})

const products: Product[] = [
  {
    policy: 'clickhouse-logger',
    config: (url) => ({
      ...bodies,
      endpoint_addr: url,
      user: 'gateway',
      password: ofGateway,
      database: 'logs',
      logtable: 'requests',
    }),
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target, headers['content-type']], ['POST', '/', 'application/json'])
      assert.deepEqual(
        ['user', 'key', 'database'].map((name) => headers[`x-clickhouse-${name}`]),
        ['gateway', ofGateway, 'logs'],
      )
      const [, row] = body.match(/^INSERT INTO requests FORMAT JSONEachRow (.+)$/)!
      assertEntry(JSON.parse(row!), this.policy, gateway.upstream)
    },
  },
  {
    policy: 'elasticsearch-logger',
    config: (url) => ({
      ...bodies,
      endpoint_addrs: [url],
      field: { index: 'requests-$request_method' },
      auth: { username: 'gateway', password: ofGateway },
    }),
    aside: ({ method }) => (method === 'GET' ? { text: '{"version":{"number":"8.15.0"}}' } : undefined),
    check({ method, target, headers, body }) {
      assert.deepEqual([method, new URL(target, 'http://a').pathname], ['POST', '/_bulk'])
      assert.equal(headers['content-type'], 'application/x-ndjson')
      assert.equal(headers.authorization, `Basic ${base64(`gateway:${ofGateway}`)}`)
      const [action, entry, end, ...more] = body.split('\n')
      assert.deepEqual([end, more], ['', []], 'the last line ends like the others')
      assert.deepEqual(JSON.parse(action!), { index: { _index: 'requests-POST' } })
      assertEntry(JSON.parse(entry!), this.policy, gateway.upstream)
    },
    refusals: [{ text: '{"errors":true,"items":[{"index":{"status":400}}]}' }],
  },
  {
    policy: 'google-cloud-logging',
    config: (url) => ({ ...single, auth_config: googleAccount(url, '/token') }),
    aside({ target, body }) {
      if (target === '/refused-token') return { status: 401, text: '{"error":"invalid_grant"}' }
      if (target !== '/token') return undefined
      const assertion = new URLSearchParams(body).get('assertion')!
      const [head, claims, signature] = assertion.split('.') as [string, string, string]
      const isSigned = verify(
        'sha256',
        Buffer.from(`${head}.${claims}`),
        createPublicKey(privateKey),
        Buffer.from(signature, 'base64url'),
      )
      const { iss } = JSON.parse(Buffer.from(claims, 'base64url').toString())
      if (!isSigned || iss !== 'gateway@shop.example') return { status: 401 }
      return { text: JSON.stringify({ access_token: ofGateway, token_type: 'Bearer', expires_in: 3600 }) }
    },
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target], ['POST', '/v2/entries:write'])
      assert.deepEqual(
        [headers['content-type'], headers.authorization],
        ['application/json', `Bearer ${ofGateway}`],
      )
      const { entries, partialSuccess } = JSON.parse(body)
      const [{ httpRequest, insertId, timestamp, ...entry }] = entries
      assert.deepEqual([entries.length, partialSuccess], [1, false])
      assert.match(httpRequest.requestUrl, new RegExp(`^http://.*/${this.policy}\\?page=2&token=\\*{3}$`))
      assert.match(httpRequest.latency, /^\d+\.\d{3}s$/)
      assert.deepEqual(
        [httpRequest.requestMethod, httpRequest.status, httpRequest.userAgent, httpRequest.serverIp],
        ['POST', 201, 'tests', gateway.upstream],
      )
      assert.ok(insertId && new Date(timestamp).toISOString() === timestamp)
      assert.deepEqual(entry, {
        jsonPayload: { route_id: this.policy, service_id: '' },
        labels: { source: 'apache-apisix-google-cloud-logging' },
        resource: { type: 'global' },
        logName: 'projects/shop/logs/apisix.apache.org%2Flogs',
      })
    },
  },
  {
    policy: 'loki-logger',
    config: (url) => ({
      ...bodies,
      endpoint_addrs: [url],
      tenant_id: 'shop',
      headers: { authorization: `Bearer ${ofGateway}` },
      log_labels: { job: 'gateway', method: '$request_method' },
    }),
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target], ['POST', '/loki/api/v1/push'])
      assert.deepEqual(
        [headers['content-type'], headers['x-scope-orgid'], headers.authorization],
        ['application/json', 'shop', `Bearer ${ofGateway}`],
      )
      const { streams } = JSON.parse(body)
      const [[time, line]] = streams[0].values
      assert.deepEqual([streams.length, streams[0].stream], [1, { job: 'gateway', method: 'POST' }])
      assert.match(time, /^\d{19}$/, 'nanoseconds as a text')
      assertEntry(JSON.parse(line), this.policy, gateway.upstream)
    },
  },
  {
    policy: 'skywalking-logger',
    config: (url) => ({ ...bodies, endpoint_addr: url, service_name: 'shop', service_instance_name: 'one' }),
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target], ['POST', '/v3/logs'])
      assert.equal(headers['content-type'], 'application/json')
      const [{ body: data, ...facts }, ...more] = JSON.parse(body)
      assert.deepEqual(
        [facts, more],
        [
          {
            traceContext: { traceId: 'trace', traceSegmentId: 'segment', spanId: 3 },
            service: 'shop',
            serviceInstance: 'one',
            endpoint: `/${this.policy}`,
          },
          [],
        ],
      )
      assertEntry(JSON.parse(data.json.json), this.policy, gateway.upstream)
    },
  },
  {
    policy: 'splunk-hec-logging',
    config: (url) => ({
      ...single,
      endpoint: { uri: `${url}/services/collector`, token: ofGateway, channel: 'of-the-shop' },
    }),
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target], ['POST', '/services/collector'])
      assert.deepEqual(
        [headers['content-type'], headers.authorization, headers['x-splunk-request-channel']],
        ['application/json', `Splunk ${ofGateway}`, 'of-the-shop'],
      )
      const { event, time, host, source, sourcetype } = JSON.parse(body)
      assert.deepEqual([source, sourcetype], ['apache-apisix-splunk-hec-logging', '_json'])
      assert.ok(host !== '' && time > 1e9 && time < 1e11, 'seconds')
      assertHeaders(event.request_headers, event.response_headers)
      assert.deepEqual(
        [event.request_method, event.request_query, event.response_status, event.upstream],
        ['POST', { page: '2', token: '***' }, 201, gateway.upstream],
      )
      assert.match(event.request_url, new RegExp(`/${this.policy}\\?page=2&token=\\*{3}$`))
    },
  },
  {
    policy: 'zipkin',
    // Five spans of an exchange make a batch full that leaves at once, without any left over.
    config: (url) => ({
      endpoint: `${url}/api/v2/spans`,
      sample_ratio: 1,
      service_name: 'shop',
      span_version: 1,
    }),
    exchanges: 200,
    entries: 1000,
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target], ['POST', '/api/v2/spans'])
      assert.equal(headers['content-type'], 'application/json')
      const spans = JSON.parse(body)
      assert.equal(spans.length, 1000)
      for (const span of spans) {
        assert.match(`${span.traceId} ${span.id}`, /^[\da-f]{32} [\da-f]{16}$/)
        assert.ok(Number.isInteger(span.duration) && span.duration > 0, 'whole microseconds, and never none')
        assert.ok(span.timestamp > 1e15 && span.localEndpoint.serviceName === 'shop')
      }
      const ofOne = spans.slice(0, 5)
      assert.deepEqual(
        ofOne.map(({ name }: { name: string }) => name.replace('apisix.', '')),
        ['rewrite', 'access', 'body_filter', 'proxy', 'request'],
      )
      const [rewrite, access, bodyFilter, proxy, request] = ofOne
      assert.deepEqual([request.kind, request.remoteEndpoint.ipv4], ['SERVER', '127.0.0.1'])
      assert.deepEqual(
        [rewrite.parentId, access.parentId, bodyFilter.parentId, proxy.parentId, request.parentId],
        [request.id, request.id, proxy.id, request.id, undefined],
      )
      assert.deepEqual(request.tags, {
        component: 'apisix',
        'http.method': 'POST',
        'http.url': loggedTarget(this.policy),
        'http.status_code': '201',
        'apisix.response_source': 'upstream',
      })
      const {
        'x-b3-traceid': trace,
        'x-b3-spanid': span,
        'x-b3-sampled': sampled,
      } = gateway.received[earlier]!.headers
      assert.deepEqual([trace, span, sampled], [request.traceId, proxy.id, '1'])
    },
  },
  {
    policy: 'loggly',
    config: () => ({ ...bodies, customer_token: ofGateway, tags: ['edge', 'shop'] }),
    check({ method, target, headers, body }) {
      assert.deepEqual([method, target], ['POST', `/bulk/${ofGateway}/tag/bulk`])
      assert.deepEqual([headers['content-type'], headers['x-loggly-tag']], ['application/json', 'edge, shop'])
      assertEntry(JSON.parse(body), this.policy, gateway.upstream)
    },
  },
]

/** Requests that the upstream had got before the first that the server is told of. */
let earlier = 0
/** What servers answer to entries. */
let answer: LogAnswer = {}

const servers = new Map<string, Awaited<ReturnType<typeof logServer>>>()
for (const product of products) {
  const closer = { after: (close: () => void) => after(close) }
  servers.set(product.policy, await logServer(closer, (request) => product.aside?.(request) ?? answer))
}
const urlOf = (policy: string) => servers.get(policy)!.url

const gateway = await loggingGateway(
  [{ id: 'loggly', host: urlOf('loggly'), protocol: 'http' }],
  [
    ...products.map(({ policy, ...product }) => logRoute(policy, product.config(urlOf(policy)))),
    logRoute(
      'google-cloud-logging',
      { ...single, auth_config: googleAccount(urlOf('google-cloud-logging'), '/refused-token') },
      'google-refused',
    ),
  ],
)

suite('google-cloud-logging without an access token', () => {
  test('nothing is written, and traffic goes on', async () => {
    const { requests } = servers.get('google-cloud-logging')!
    const act = () => gateway.exchange('google-refused')
    assert.deepEqual(await gateway.outcomes('google-cloud-logging', act), { delivered: 0, failed: 1 })
    assert.deepEqual(
      requests.all.splice(0).map(({ target }) => target),
      ['/refused-token'],
    )
  })
})

for (const product of products) {
  const { policy, exchanges = 1, entries = 1, aside, refusals = [] } = product
  const server = servers.get(policy)!
  const outcomes = () =>
    gateway.outcomes(policy, async () => {
      for (let n = 0; n < exchanges; n++) await gateway.exchange(policy)
    })

  suite(policy, () => {
    test('the server reads the entry, without what the caller keeps secret', async () => {
      answer = {}
      // One that no policy sees goes before each.
      earlier = gateway.received.length + 1
      assert.deepEqual(await outcomes(), { delivered: entries, failed: 0 })
      const request = server.requests.all.find((one) => aside?.(one) === undefined)!
      assert.doesNotMatch(request.body, new RegExp(ofCaller))
      product.check(request)
    })

    for (const refusal of [{ status: 500 }, { cut: true }, ...refusals] as LogAnswer[]) {
      test(`traffic goes on, and entries fail, where it answers with ${JSON.stringify(refusal)}`, async () => {
        answer = refusal
        assert.deepEqual(await outcomes(), { delivered: 0, failed: entries })
      })
    }

    test('traffic goes on, and entries fail, where nobody is there', async () => {
      server.stop()
      const before = server.requests.all.length
      assert.deepEqual(await outcomes(), { delivered: 0, failed: entries })
      assert.equal(server.requests.all.length, before)
    })
  })
}

test('zipkin: a context that cannot be read is answered with 400, and the upstream hears nothing', async () => {
  const before = gateway.received.length
  const { status } = await gateway.send('/zipkin', { headers: { b3: 'nonsense' } })
  assert.deepEqual([status, gateway.received.length], [400, before])
})

test('nothing secret stands in the log of the gateway', () => assertDiscreet(gateway))
