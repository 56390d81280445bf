import { isIPv6 } from 'node:net'
import { definePolicy, type Exchange, openInApisix, responseSource, Type } from '../kit/index.ts'
import { addressFinding, HttpSink, loggedUri } from '../kit/logging/index.ts'
import { newSpanId, newTraceId, readB3, writeB3 } from '../kit/tracing/index.ts'

/** What is known of an exchange whose spans will be reported. Moments are those of `performance.now()`. */
interface Trace {
  traceId: string
  parentId: string | undefined
  requestId: string
  proxyId: string
  /** The request was ready for its upstream. */
  ready: number
  /** The answer began; 0: it did not. */
  answered: number
}

const batch = {
  name: 'zipkin_report',
  batch_max_size: 1000,
  inactive_timeout: 5,
  buffer_duration: 60,
  max_retry_count: 0,
  retry_delay: 1,
}
const pendingSpans = 24_576
const badContext = { status: 400 }

/** Spans for Zipkin; configuration, fields and spans of APISIX's `zipkin`. */
export default definePolicy({
  name: 'zipkin',
  summary: 'Takes part in traces (B3), and reports spans to Zipkin.',
  details:
    'A caller that decided whether its trace is sampled (`x-b3-sampled`, `x-b3-flags` or `b3`) is followed; else ' +
    '`sample_ratio` decides. A `b3` field that cannot be read is answered with 400. The upstream gets `x-b3-traceid`, ' +
    '`x-b3-spanid`, `x-b3-parentspanid` and `x-b3-sampled`. With `span_version: 2` the spans are `apisix.request`, ' +
    '`apisix.proxy` (until the answer begins) and `apisix.response_span`; with 1 there are `apisix.rewrite`, ' +
    '`apisix.access` and `apisix.body_filter` in place of the last. Values of credentials in queries are blacked out.',
  stage: 'transform',
  priority: 12_011,
  version: 0.1,
  config: Type.Object(
    {
      endpoint: Type.String({ description: 'Where spans go: `http://127.0.0.1:9411/api/v2/spans`.' }),
      sample_ratio: Type.Number({
        minimum: 0.000_01,
        maximum: 1,
        description: 'Share of requests that are sampled.',
      }),
      service_name: Type.String({ default: 'APISIX', description: 'Name of the service in spans.' }),
      server_addr: Type.Optional(
        Type.String({
          pattern: '^[0-9]{1,3}.[0-9]{1,3}.[0-9]{1,3}.[0-9]{1,3}$',
          description: 'Address of the gateway in spans; by default the one that the client connected to.',
        }),
      ),
      span_version: Type.Enum([1, 2], { default: 2, description: 'Which spans are made.' }),
    },
    openInApisix,
  ),
  validate: ({ endpoint }) => addressFinding({ endpoint }),
  create(config, host) {
    const { sample_ratio: ratio, service_name: serviceName, span_version: version } = config
    const url = new URL(config.endpoint)
    const sink = new HttpSink({
      timeout: 5000,
      verify: false,
      accepts: (status) => status >= 200 && status < 300,
    })
    const headers = { 'content-type': 'application/json' }
    const spans = host.batches<string>(batch, pendingSpans, async (entries) => {
      await sink.post(url, headers, `[${entries.join(',')}]`)
    })
    const traces = new WeakMap<Exchange, Trace>()

    function report(exchange: Exchange, trace: Trace): void {
      const { client, timings, response } = exchange
      const base = {
        traceId: trace.traceId,
        localEndpoint: {
          serviceName,
          ...placed(config.server_addr ?? client.localAddress),
          port: client.localPort,
        },
      }
      const push = (span: Record<string, unknown>, from: number, to: number) => {
        const timestamp = Math.round((timings.startedAt + from - timings.start) * 1000)
        // To Zipkin none at all would mean that it is not known.
        const duration = Math.max(1, Math.floor((to - from) * 1000))
        const text = JSON.stringify({ ...base, remoteEndpoint: null, tags: {}, ...span, timestamp, duration })
        spans.push(text, text.length, exchange)
      }
      const child = (name: string, from: number, to: number, id = newSpanId(), parentId = trace.requestId) =>
        push({ name: `apisix.${name}`, id, parentId }, from, to)

      if (version === 1) {
        child('rewrite', timings.start, trace.ready)
        child('access', trace.ready, trace.ready)
        if (trace.answered !== 0)
          child('body_filter', trace.answered, timings.end, newSpanId(), trace.proxyId)
        child('proxy', trace.ready, timings.end, trace.proxyId)
      } else if (trace.answered !== 0) {
        child('proxy', timings.start, trace.answered, trace.proxyId)
        child('response_span', trace.answered, timings.end)
      }
      push(
        {
          name: 'apisix.request',
          id: trace.requestId,
          parentId: trace.parentId,
          kind: 'SERVER',
          remoteEndpoint: { ...placed(client.address), port: client.peerPort },
          tags: {
            component: 'apisix',
            'http.method': exchange.request.method,
            'http.url': loggedUri(exchange),
            'http.status_code': String(response.status),
            'apisix.response_source': responseSource(exchange),
          },
        },
        timings.start,
        timings.end,
      )
    }

    return {
      request(exchange) {
        const context = readB3(exchange)
        if (context === null) return badContext
        const sampled = context.sampled ?? (ratio === 1 || Math.random() < ratio)
        const traceId = context.traceId ?? newTraceId()
        const requestId = newSpanId()
        const proxyId = sampled ? newSpanId() : requestId
        const parent = sampled ? requestId : context.spanId
        writeB3(exchange, { traceId, spanId: proxyId, parentId: parent, sampled })
        if (sampled) {
          const ready = performance.now()
          traces.set(exchange, { traceId, parentId: context.spanId, requestId, proxyId, ready, answered: 0 })
        }
        return undefined
      },
      respond(exchange) {
        const trace = traces.get(exchange)
        if (trace !== undefined) trace.answered = performance.now()
      },
      observe(exchange) {
        const trace = traces.get(exchange)
        if (trace !== undefined) report(exchange, trace)
      },
    }
  },
})

/** An address in the field that Zipkin has for its kind. */
function placed(address: string): { ipv4: string } | { ipv6: string } {
  return isIPv6(address) ? { ipv6: address } : { ipv4: address }
}
