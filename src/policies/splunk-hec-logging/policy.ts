import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  addressFinding,
  batchedLogger,
  batchFields,
  formatFields,
  HttpSink,
  type LogEntry,
  loggerMetadata,
  webAddress,
} from '../kit/logging/index.ts'

/** Events for Splunk's HTTP Event Collector; configuration and events of APISIX's `splunk-hec-logging`. */
export default definePolicy({
  name: 'splunk-hec-logging',
  summary: 'Sends an event about each exchange to the HTTP Event Collector of Splunk, in batches.',
  details: 'A batch is a row of JSON objects. A status other than 200 is a failure.',
  stage: 'transform',
  priority: 409,
  version: 0.1,
  config: Type.Object(
    {
      endpoint: Type.Object(
        {
          uri: webAddress('Where events go.'),
          token: Type.String({ description: 'Token of the collector.', 'x-secret': true }),
          channel: Type.Optional(Type.String({ description: '`X-Splunk-Request-Channel`.' })),
          timeout: Type.Integer({
            minimum: 1,
            default: 10,
            description: 'Seconds that the server may take.',
          }),
          keepalive_timeout: Type.Integer({
            minimum: 1000,
            default: 60_000,
            description: 'Milliseconds that an idle connection is kept.',
          }),
        },
        { description: 'The collector.', ...openInApisix },
      ),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether the certificate of the server is verified.',
      }),
      ...formatFields,
      ...batchFields('splunk-hec-logging'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: ({ endpoint }) => addressFinding({ 'endpoint.uri': endpoint.uri }),
  create(config, host) {
    const { uri, token, channel, timeout, keepalive_timeout: keepAlive } = config.endpoint
    const url = new URL(uri)
    const sink = new HttpSink({
      timeout: timeout * 1000,
      verify: config.ssl_verify,
      keepAlive,
      accepts: (status) => status === 200,
    })
    const headers = {
      'content-type': 'application/json',
      authorization: `Splunk ${token}`,
      ...(channel !== undefined && { 'x-splunk-request-channel': channel }),
    }
    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) =>
        JSON.stringify({
          time: host.now() / 1000,
          source: 'apache-apisix-splunk-hec-logging',
          sourcetype: '_json',
          host: host.gateway.hostname,
          event: entries.isCustom
            ? entries.read(exchange)
            : { ...entries.readExtra(exchange), ...eventOf(entries.read(exchange)) },
        }),
      async send(events) {
        await sink.post(url, headers, events.join(''))
      },
    })
  },
})

function eventOf(entry: LogEntry): LogEntry {
  const { request, response } = entry as { request: LogEntry; response: LogEntry }
  return {
    request_url: request.url,
    request_method: request.method,
    request_headers: request.headers,
    request_query: request.querystring,
    request_size: request.size,
    response_headers: response.headers,
    response_status: response.status,
    response_size: response.size,
    latency: entry.latency,
    upstream: entry.upstream,
  }
}
