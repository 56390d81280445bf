/** Traces of a running gateway, at a receiver of OTLP that reads them by the messages of the specification. */
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { freePort } from '../harness/gateway.ts'
import { startOtlpReceiver } from '../harness/otlp-receiver.ts'
import { type PolicyGateway, policyGateway } from '../harness/policy-gateway.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${spanId}-01`

const receiver = await startOtlpReceiver()
after(() => receiver.close())
const [deadPort, metricsPort, deadMetricsPort] = [await freePort(), await freePort(), await freePort()]

const internal = 1
const server = 2
const client = 3

interface Wanted {
  attempts?: number
  policies?: readonly string[]
}

/** The spans of one exchange, which come in any order. Policies may have more than are asked for: those that took their time. */
async function traced(send: () => Promise<unknown>, { attempts: count = 1, policies = [] }: Wanted = {}) {
  receiver.batches.length = 0
  await send()
  const all = () => receiver.batches.flatMap(({ spans }) => spans)
  const named = (name: string) => all().find((span) => span.kind === internal && span.name === name)
  const attempts = () => all().filter(({ kind }) => kind === client)
  const exchange = () => all().find(({ kind }) => kind === server)
  await receiver.until(() => exchange() !== undefined && attempts().length === count && policies.every(named))
  return {
    exchange: exchange()!,
    attempts: attempts().sort((a, b) => Number(a.start - b.start)),
    policies: policies.map((name) => named(name)!),
  }
}

async function metric(port: number, line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(line))
      ?.split(' ')
      .at(-1) ?? Number.NaN,
  )
}

const routes = (upstreamPort: number) => `
routes:
  - { id: plain, uri: /plain/*, upstream_id: u }
  - id: refused
    uri: /refused
    upstream_id: u
    plugins: { key-auth: {} }
  - id: retried
    uri: /retried
    upstream: { type: chash, hash_on: vars, key: uri, retries: 1, nodes: [{ host: 127.0.0.1, port: ${deadPort}, weight: 1, priority: 1 }, { host: 127.0.0.1, port: ${upstreamPort}, weight: 1, priority: 0 }] }
  - { id: unreachable, uri: /unreachable, upstream: { nodes: { "127.0.0.1:${deadPort}": 1 } } }
`

const batch = 'batch: { size: 1 }'

suite('gateway.tracing over HTTP in protobuf', () => {
  const gateway = policyGateway(
    (port) => `
gateway:
  metrics: { host: 127.0.0.1, port: ${metricsPort} }
  tracing:
    exporter: { endpoint: "http://127.0.0.1:${receiver.httpPort}", headers: { authorization: token-of-the-collector } }
    service_name: shop
    resource: { deployment.environment.name: test, replicas: 2, canary: true }
    labels:
      - { name: team, type: literal, default: orders }
      - { name: tenant, type: request_header, key: X-Tenant, default: none }
      - { name: zone, type: environment, key: SLUICE_TEST_ZONE }
    ${batch}
${routes(port)}`,
    undefined,
    { SLUICE_TEST_ZONE: 'zone-7' },
  )

  test('an exchange is a span, with its attempt at the upstream below it', async () => {
    let seen: Record<string, unknown> = {}
    const { exchange, attempts } = await traced(async () => {
      const { seen: received } = await gateway.send('/plain/a?page=2&token=s3cret', {
        headers: { traceparent, tracestate: 'vendor=x', 'x-tenant': 'acme', 'user-agent': 'tests' },
      })
      seen = received!.headers
    })
    const attempt = attempts[0]
    assert.equal(receiver.batches[0]!.protocol, 'http/protobuf')
    assert.equal(receiver.batches[0]!.target, '/v1/traces')
    assert.equal(receiver.batches[0]!.headers.authorization, 'token-of-the-collector')
    assert.deepEqual(
      [exchange.traceId, exchange.parentSpanId, exchange.traceState, exchange.kind, exchange.name],
      [traceId, spanId, 'vendor=x', 2, 'GET /plain/*'],
    )
    assert.deepEqual(
      [attempt!.traceId, attempt!.parentSpanId, attempt!.kind, attempt!.name],
      [traceId, exchange.spanId, 3, 'GET'],
    )
    assert.equal(seen.traceparent, `00-${traceId}-${attempt!.spanId}-01`)
    assert.equal(seen.tracestate, 'vendor=x')
    const { 'network.peer.port': peerPort, 'server.port': port, ...attributes } = exchange.attributes
    assert.equal(port, gateway.port)
    assert.ok(Number(peerPort) > 0)
    assert.deepEqual(attributes, {
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': '/plain/a',
      'server.address': '127.0.0.1',
      'client.address': '127.0.0.1',
      'network.peer.address': '127.0.0.1',
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'url.query': 'page=2&token=***',
      'user_agent.original': 'tests',
      'http.response.status_code': 200,
      'http.route': '/plain/*',
      'sluice.route.id': 'plain',
      team: 'orders',
      tenant: 'acme',
      zone: 'zone-7',
    })
    assert.equal(attempt!.attributes['http.response.status_code'], 200)
    assert.equal(attempt!.attributes['server.port'], gateway.upstreamPort)
    const { 'host.name': host, 'service.version': version, ...resource } = exchange.resource
    assert.ok(host && version)
    assert.deepEqual(resource, {
      'service.name': 'shop',
      'deployment.environment.name': 'test',
      replicas: 2,
      canary: true,
    })
    assert.ok(exchange.start <= attempt!.start && attempt!.start <= attempt!.end)
    assert.ok(attempt!.end <= exchange.end)
    assert.equal(exchange.status, undefined)
  })

  test('a caller that decided against it is followed', async () => {
    const unsampled = traceparent.replace(/1$/, '0')
    const { seen } = await gateway.send('/plain/unsampled', { headers: { traceparent: unsampled } })
    assert.equal(seen!.headers.traceparent, unsampled)
    await traced(() => gateway.send('/plain/b'))
    const paths = receiver.batches.flatMap(({ spans }) =>
      spans.map(({ attributes }) => attributes['url.path']),
    )
    assert.ok(!paths.includes('/plain/unsampled'))
  })

  for (const odd of [
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    'nonsense',
  ]) {
    test(`a context that cannot be read begins a new trace: ${odd}`, async () => {
      const sent = { headers: { traceparent: odd } }
      const { exchange } = await traced(() => gateway.send('/plain/a', sent))
      assert.notEqual(exchange.traceId, traceId)
      assert.equal(exchange.parentSpanId, '')
    })
  }

  test('a policy that answers has a span, and the exchange says who answered', async () => {
    const { exchange, policies } = await traced(() => gateway.send('/refused'), {
      attempts: 0,
      policies: ['policy key-auth'],
    })
    const [policy] = policies
    assert.deepEqual(
      [policy!.name, policy!.kind, policy!.parentSpanId, policy!.attributes],
      ['policy key-auth', 1, exchange.spanId, { 'sluice.policy': 'key-auth', 'sluice.policy.status': 401 }],
    )
    assert.equal(exchange.attributes['sluice.answered_by'], 'key-auth')
    assert.equal(exchange.attributes['http.response.status_code'], 401)
  })

  test('each attempt has its span, and the upstream hears of its own', async () => {
    let seen: unknown
    const send = async () => {
      seen = (await gateway.send('/retried')).seen!.headers.traceparent
    }
    const { exchange, attempts } = await traced(send, { attempts: 2 })
    const [failed, second] = attempts
    assert.deepEqual([failed!.attributes['error.type'], failed!.status?.code], ['connect_failed', 2])
    assert.equal(second!.attributes['http.request.resend_count'], 1)
    assert.equal(second!.attributes['http.response.status_code'], 200)
    assert.equal(seen, `00-${exchange.traceId}-${second!.spanId}-01`)
  })

  test('what failed says which error it was', async () => {
    const { exchange } = await traced(() => gateway.send('/unreachable'))
    const { attributes, status } = exchange
    assert.equal(attributes['error.type'], 'upstream_connect_failed')
    assert.equal(attributes['sluice.error.code'], 'upstream_connect_failed')
    assert.equal(status?.code, 2)
  })

  test('spans are counted, and those that a collector refuses are not sent again', async () => {
    const count = (outcome: string) =>
      metric(metricsPort, `sluice_log_entries_total{policy="tracing",outcome="${outcome}"}`)
    const before = await count('failed')
    receiver.answer = { status: 400 }
    await gateway.send('/plain/refused-by-collector')
    receiver.answer = { rejected: 1 }
    while ((await count('failed')) < before + 2) await gateway.send('/plain/partly')
    receiver.answer = {}
    assert.ok((await count('delivered')) > 0)
  })
})

for (const protocol of ['http/json', 'grpc'] as const) {
  suite(`gateway.tracing over ${protocol}`, () => {
    const gateway = policyGateway((port) => {
      const collector = protocol === 'grpc' ? receiver.grpcPort : receiver.httpPort
      return `
gateway:
  tracing:
    exporter: { protocol: ${protocol}, endpoint: "http://127.0.0.1:${collector}", headers: { x-key: of-the-collector } }
    propagation: [b3, b3multi]
    resource: { ratio: 0.5 }
    ${batch}
${routes(port)}`
    })

    test('has the same spans, and B3 in one field or several', async () => {
      let headers: Record<string, unknown> = {}
      const { exchange, attempts } = await traced(async () => {
        headers = (await gateway.send('/plain/é?x=%', { headers: { b3: `${traceId}-${spanId}-1` } })).seen!
          .headers
      })
      const [attempt] = attempts
      assert.equal(receiver.batches[0]!.protocol, protocol)
      assert.equal(receiver.batches[0]!.headers['x-key'], 'of-the-collector')
      assert.deepEqual(
        [exchange.traceId, exchange.parentSpanId, attempt!.parentSpanId],
        [traceId, spanId, exchange.spanId],
      )
      assert.equal(exchange.resource.ratio, 0.5)
      assert.equal(headers['x-b3-traceid'], traceId)
      assert.equal(headers['x-b3-spanid'], attempt!.spanId)
      assert.equal(headers.traceparent, undefined)
    })

    test('a collector that had no time for a batch gets it again', async () => {
      receiver.answer = { status: protocol === 'grpc' ? 14 : 503 }
      receiver.refusals = 0
      const { exchange } = await traced(async () => {
        await gateway.send('/plain/again')
        await receiver.until(() => receiver.refusals === 2)
        receiver.answer = {}
      })
      assert.equal(exchange.attributes['url.path'], '/plain/again')
    })
  })
}

suite('a collector that is not there', () => {
  const gateway: PolicyGateway = policyGateway(
    () => `
gateway:
  metrics: { host: 127.0.0.1, port: ${deadMetricsPort} }
  tracing:
    exporter: { endpoint: "http://127.0.0.1:${deadPort}" }
    batch: { size: 4, queue: 8, retries: 0 }
routes:
  - { id: plain, uri: /*, upstream_id: u }
`,
  )

  test('costs counts: every span is counted once', async () => {
    for (let n = 0; n < 20; n++) assert.equal((await gateway.send('/x')).status, 200)
    const count = (outcome: string) =>
      metric(deadMetricsPort, `sluice_log_entries_total{policy="tracing",outcome="${outcome}"}`)
    for (;;) {
      const lost = (await count('failed')) + (await count('discarded'))
      if (lost === 40) break
      assert.ok(lost < 40)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(await count('delivered'), 0)
  })
})

suite('opentelemetry', () => {
  const gateway = policyGateway(
    () => `
plugin_metadata:
  - id: opentelemetry
    trace_id_source: x-request-id
    set_ngx_var: true
    resource: { zone: a }
    collector: { address: "127.0.0.1:${receiver.httpPort}", request_headers: { foo: bar } }
    batch_span_processor: { max_export_batch_size: 1 }
gateway:
  tracing: { exporter: { endpoint: "http://127.0.0.1:${deadPort}" } }
routes:
  - id: all
    name: everything
    uri: /all
    upstream_id: u
    plugins:
      opentelemetry: { sampler: { name: always_on }, additional_attributes: [arg_foo, request_time, nothing_there], additional_header_prefix_attributes: [x-my-*, Accept] }
      proxy-rewrite: { headers: { set: { x-told: $opentelemetry_trace_id } } }
  - id: none
    uri: /none
    upstream_id: u
    plugins: { opentelemetry: {} }
  - id: parent
    uri: /parent
    upstream_id: u
    plugins: { opentelemetry: { sampler: { name: parent_base } } }
`,
  )

  test('has the names and attributes of APISIX', async () => {
    let headers: Record<string, unknown> = {}
    const sent = {
      'x-request-id': '550E8400E29B41D4A716446655440000',
      'x-my-one': '1',
      'x-my-token': 'planted',
      accept: 'text/plain',
      'user-agent': 'tests',
    }
    const { exchange, attempts } = await traced(async () => {
      headers = (await gateway.send('/all?foo=bar', { headers: sent })).seen!.headers
    })
    const attempt = attempts[0]!
    assert.equal(receiver.batches[0]!.headers.foo, 'bar')
    assert.equal(exchange.traceId, '550e8400e29b41d4a716446655440000')
    assert.equal(headers['x-told'], exchange.traceId)
    assert.equal(headers.traceparent, `00-${exchange.traceId}-${attempt.spanId}-01`)
    assert.equal(exchange.name, 'GET /all')
    const { request_time: time, ...attributes } = exchange.attributes
    assert.equal(typeof time, 'string')
    assert.deepEqual(attributes, {
      'net.host.name': '127.0.0.1',
      'http.method': 'GET',
      'http.scheme': 'http',
      'http.target': '/all?foo=bar',
      'http.user_agent': 'tests',
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': '/all',
      'user_agent.original': 'tests',
      'apisix.route_id': 'all',
      'apisix.route_name': 'everything',
      'http.route': '/all',
      'apisix.response_source': 'upstream',
      'http.status_code': 200,
      'http.response.status_code': 200,
      arg_foo: 'bar',
      'x-my-one': '1',
      'x-my-token': '***',
      Accept: 'text/plain',
    })
    assert.equal(exchange.resource['service.name'], 'APISIX')
    assert.equal(exchange.resource.zone, 'a')
  })

  test('is silent unless it is told otherwise, and tells the upstream so', async () => {
    const { seen } = await gateway.send('/none', { headers: { traceparent } })
    assert.match(String(seen!.headers.traceparent), new RegExp(`^00-${traceId}-[\\da-f]{16}-00$`))
    assert.notEqual(seen!.headers.traceparent, `00-${traceId}-${spanId}-00`)
  })

  test('follows the caller', async () => {
    const { exchange } = await traced(() => gateway.send('/parent', { headers: { traceparent } }))
    assert.equal(exchange.parentSpanId, spanId)
    const { seen } = await gateway.send('/parent')
    assert.match(String(seen!.headers.traceparent), /-00$/)
  })
})
