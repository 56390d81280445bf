import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  addressFinding,
  batchedLogger,
  batchFields,
  bodyFields,
  expressionFindings,
  formatFields,
  HttpSink,
  loggerMetadata,
  textOfBytes,
  webAddress,
} from '../kit/logging/index.ts'

/** Entries for SkyWalking; configuration and messages of APISIX's `skywalking-logger`. */
export default definePolicy({
  name: 'skywalking-logger',
  summary: 'Sends an entry about each exchange to SkyWalking, in batches.',
  details:
    'Batches go to `/v3/logs` of the server. A request with a `sw8` field has its trace named. `$hostname` as ' +
    '`service_instance_name` is the name of the host.',
  stage: 'transform',
  priority: 408,
  version: 0.1,
  config: Type.Object(
    {
      endpoint_addr: webAddress('The server.'),
      service_name: Type.String({ default: 'APISIX', description: 'Name of the service.' }),
      service_instance_name: Type.String({
        default: 'APISIX Instance Name',
        description: 'Name of this instance of it.',
      }),
      timeout: Type.Integer({ minimum: 1, default: 3, description: 'Seconds that the server may take.' }),
      ...formatFields,
      ...bodyFields,
      ...batchFields('skywalking logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: (config) => addressFinding({ endpoint_addr: config.endpoint_addr }) ?? expressionFindings(config),
  create(config, host) {
    const sink = new HttpSink({
      timeout: config.timeout * 1000,
      verify: true,
      accepts: (status) => status < 400,
    })
    const url = new URL('/v3/logs', config.endpoint_addr)
    const headers = { 'content-type': 'application/json' }
    const instance =
      config.service_instance_name === '$hostname' ? host.gateway.hostname : config.service_instance_name
    const uri = host.variable('uri')
    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) =>
        JSON.stringify({
          traceContext: traceOf(exchange.request.headers.get('sw8')),
          body: { json: { json: JSON.stringify(entries.read(exchange)) } },
          service: config.service_name,
          serviceInstance: instance,
          endpoint: textOfBytes(uri(exchange) ?? ''),
        }),
      async send(entries) {
        await sink.post(url, headers, `[${entries.join(',')}]`)
      },
    })
  },
})

/** `1-TRACEID-SEGMENTID-SPANID-...` with eight parts; undefined for anything else. */
function traceOf(sw8: string | undefined): object | undefined {
  const parts = sw8?.split('-')
  if (parts?.length !== 8) return undefined
  const [, trace, segment, span] = parts as [string, string, string, string]
  const text = (part: string) => Buffer.from(part, 'base64').toString()
  return { traceId: text(trace), traceSegmentId: text(segment), spanId: Number(span) || 0 }
}
