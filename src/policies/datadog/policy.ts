import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'
import { batchedLogger, batchFields, PartlyDelivered, UdpSink } from '../kit/logging/index.ts'

/** Bytes that an agent reads of a datagram. */
const largestDatagram = 8192

const tags = (byDefault: string[], description: string) =>
  Type.Array(
    Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: '^[\\p{L}](?:[\\p{L}\\p{N}_.:/-]*[\\p{L}\\p{N}_./-])?$',
      'x-form': 'a letter, followed by letters, digits and _.:/- without a colon at the end',
    }),
    { default: byDefault, description },
  )

const agent = { host: '127.0.0.1', port: 8125, namespace: 'apisix', constant_tags: ['source:apisix'] }

/** Metrics for an agent of Datadog; configuration and metrics of APISIX's `datadog`. */
export default definePolicy({
  name: 'datadog',
  summary: 'Sends counts, latencies and sizes of each exchange to an agent of Datadog (DogStatsD).',
  details:
    'Metrics: `request.counter`, `request.latency`, `upstream.latency`, `apisix.latency` (milliseconds), `ingress.size` and ' +
    '`egress.size` (bytes), below the namespace of `plugin_metadata`. The metrics of an exchange are one datagram where they ' +
    'fit.',
  stage: 'transform',
  priority: 495,
  version: 0.1,
  config: Type.Object(
    {
      prefer_name: Type.Boolean({
        default: true,
        description: 'Whether routes and services go by their names, where they have one.',
      }),
      include_path: Type.Boolean({
        default: false,
        description: 'Whether the pattern of the route is a tag.',
      }),
      include_method: Type.Boolean({ default: false, description: 'Whether the method is a tag.' }),
      constant_tags: tags([], 'Further tags.'),
      ...batchFields('datadog'),
    },
    openInApisix,
  ),
  metadata: Type.Object(
    {
      host: Type.String({ default: agent.host, description: 'The agent.' }),
      port: Type.Integer({ minimum: 0, default: agent.port, description: 'Its port.' }),
      namespace: Type.String({ default: agent.namespace, description: 'What names of metrics begin with.' }),
      constant_tags: tags(agent.constant_tags, 'Tags of all metrics.'),
      max_pending_entries: Type.Integer({
        minimum: 1,
        default: 8192,
        description: 'Exchanges whose metrics wait to be sent at most, on each thread.',
      }),
    },
    openInApisix,
  ),
  create(config, host) {
    const { host: name, port, namespace, constant_tags: always } = host.metadata ?? agent
    const udp = new UdpSink(name, port)
    const prefix = namespace === '' ? '' : `${namespace}.`
    const { prefer_name: preferName } = config
    const constant = [...always, ...config.constant_tags]

    function tagsOf(exchange: Exchange): string {
      const { binding, consumer, upstream, response, request, client } = exchange
      const found: [string, string | undefined][] = [
        ['route_name', (preferName && binding?.routeName) || binding?.routeId],
        ['path', config.include_path ? binding?.matchedUri : undefined],
        ['method', config.include_method ? request.method : undefined],
        ['service_name', serviceOf(exchange)],
        ['consumer', consumer?.username],
        ['balancer_ip', upstream?.ip],
        ['response_status', String(response.status)],
        ['response_status_class', `${Math.floor(response.status / 100)}xx`],
        ['scheme', upstream === null ? undefined : client.scheme],
      ]
      const all = [...constant]
      // A name of somebody else's choice begins no further tag and no further metric.
      for (const [tag, value] of found) if (value) all.push(`${tag}:${value.replace(/[\n\r|,#]/g, '_')}`)
      return all.length === 0 ? '' : `|#${all.join(',')}`
    }

    function serviceOf({ binding, request }: Exchange): string {
      if (binding === null) return request.host
      return (preferName && binding.serviceName) || binding.serviceId
    }

    function linesOf(exchange: Exchange): string[] {
      const { timings, request, response } = exchange
      const tagged = tagsOf(exchange)
      const line = (metric: string, value: number, type: string) =>
        `${prefix}${metric}:${value}|${type}${tagged}`
      const total = timings.end - timings.start
      const ofUpstream = timings.upstreamStart === 0 ? undefined : timings.end - timings.upstreamStart
      return [
        line('request.counter', 1, 'c'),
        line('request.latency', total, 'h'),
        ...(ofUpstream === undefined ? [] : [line('upstream.latency', ofUpstream, 'h')]),
        line('apisix.latency', ofUpstream === undefined ? total : Math.max(0, total - ofUpstream), 'h'),
        line('ingress.size', request.headBytes + request.bodyBytes, 'ms'),
        line('egress.size', response.headBytes + response.bodyBytes, 'ms'),
      ]
    }

    return batchedLogger<string>(config, host, {
      entry: (exchange) => linesOf(exchange).join('\n'),
      async send(entries) {
        for (const [sent, lines] of entries.entries()) {
          try {
            if (Buffer.byteLength(lines) <= largestDatagram) await udp.send(lines)
            else for (const line of lines.split('\n')) await udp.send(line)
          } catch (error) {
            throw new PartlyDelivered(sent, (error as Error).message)
          }
        }
      },
    })
  },
})
