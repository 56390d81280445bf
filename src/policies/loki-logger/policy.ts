import { callTimeout, definePolicy, keepAliveFields, openInApisix, Type } from '../kit/index.ts'
import {
  anyServer,
  batchedLogger,
  entryFields,
  expressionFindings,
  HttpSink,
  loggerMetadata,
  serverList,
  serversFinding,
  textOfBytes,
  webAddress,
} from '../kit/logging/index.ts'

interface Row {
  labels: Record<string, string>
  /** Nanoseconds since the epoch, which no number holds. */
  time: string
  line: string
}

/** Entries for Grafana Loki; configuration and streams of APISIX's `loki-logger`. */
export default definePolicy({
  name: 'loki-logger',
  summary: 'Sends an entry about each exchange to Grafana Loki, in batches.',
  details:
    'Values of `log_labels` may hold variables; entries with the same labels make a stream. The time of an entry is that of ' +
    'the first byte of its request. Batches go to one of the servers, taken at random.',
  stage: 'transform',
  priority: 414,
  version: 0.1,
  config: Type.Object(
    {
      endpoint_addrs: serverList(webAddress),
      endpoint_uri: Type.String({
        minLength: 1,
        default: '/loki/api/v1/push',
        description: 'Path for batches.',
      }),
      tenant_id: Type.String({ default: 'fake', description: '`X-Scope-OrgID`.' }),
      headers: Type.Optional(
        Type.Record(Type.String(), Type.String({ minLength: 1, 'x-secret': true }), {
          description: 'Further fields of requests.',
        }),
      ),
      log_labels: Type.Record(Type.String(), Type.String({ minLength: 1 }), {
        default: { job: 'apisix' },
        description: 'Labels of entries: names, and texts with variables.',
      }),
      ssl_verify: Type.Boolean({
        default: false,
        description: 'Whether the certificate of the server is verified.',
      }),
      timeout: callTimeout({ maximum: 60_000 }),
      ...keepAliveFields(5),
      ...entryFields('loki logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: (config) => serversFinding(config) ?? expressionFindings(config),
  create(config, host) {
    const { endpoint_uri: path, timeout, ssl_verify: verify } = config
    const server = anyServer(config)
    const sink = new HttpSink({
      timeout,
      verify,
      keepAlive: config.keepalive ? config.keepalive_timeout : 1,
      accepts: (status) => status < 300,
    })
    const headers = {
      ...config.headers,
      'x-scope-orgid': config.tenant_id,
      'content-type': 'application/json',
    }
    const labels = Object.entries(config.log_labels).map(
      ([name, text]) => [name, host.template(text)] as const,
    )
    return batchedLogger<Row>(
      config,
      host,
      {
        entry(exchange, entries) {
          const entry = entries.read(exchange)
          entry.route_id ??= 'no-matched'
          return {
            labels: Object.fromEntries(labels.map(([name, fill]) => [name, textOfBytes(fill(exchange))])),
            time: `${Math.round(exchange.timings.startedAt)}000000`,
            line: JSON.stringify(entry),
          }
        },
        async send(rows) {
          await sink.post(new URL(server() + path), headers, JSON.stringify({ streams: streamsOf(rows) }))
        },
      },
      ({ line }) => line.length,
    )
  },
})

function streamsOf(rows: readonly Row[]): { stream: object; values: [string, string][] }[] {
  const streams = new Map<string, { stream: object; values: [string, string][] }>()
  for (const { labels, time, line } of rows) {
    const key = JSON.stringify(labels)
    const stream = streams.get(key) ?? { stream: labels, values: [] }
    stream.values.push([time, line])
    streams.set(key, stream)
  }
  return [...streams.values()]
}
