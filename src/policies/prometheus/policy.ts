import { type ModelCall, modelCall } from '../kit/ai/call.ts'
import {
  type BindingInfo,
  closedInApisix,
  definePolicy,
  type Exchange,
  openInApisix,
  responseSource,
  Type,
} from '../kit/index.ts'
import { ExtraLabels } from './extra-labels.ts'
import {
  instrumentsOf,
  llmMetricLabels,
  type MetricName,
  metricLabels,
  structuralLabels,
} from './instruments.ts'
import { countModelCall, modelLabels } from './model-series.ts'
import { Series, SeriesTree } from './series.ts'
import { countSessions, streamConfig } from './stream-series.ts'

/** Series remembered by one binding; endpoints that come and go would otherwise add up for ever. */
const seriesKept = 10_000

const llmLabels = Object.fromEntries(
  Object.entries(llmMetricLabels).map(([metric, labels]) => [metric, labelsToLeaveEmpty([...labels])]),
) as Record<keyof typeof llmMetricLabels, ReturnType<typeof labelsToLeaveEmpty>>

/** Counts statuses, latencies and bytes; names and labels of APISIX's `prometheus`. */
export default definePolicy({
  name: 'prometheus',
  summary: 'Counts status codes, latencies and bytes by route, service, consumer and node.',
  details:
    'Metrics: `apisix_http_status`, `apisix_http_latency` (milliseconds; types request, upstream, ' +
    'apisix) and `apisix_bandwidth` (bytes of heads and bodies; types ingress, egress). `response_source` is ' +
    '`upstream`, `apisix` for answers of the gateway and `nginx`, as in APISIX, for its answers in ' +
    'place of an upstream that failed.\n\nOf requests to language models there are `apisix_llm_latency`, ' +
    '`apisix_llm_prompt_tokens`, `apisix_llm_completion_tokens`, their distributions (`_dist`) and, wherever a model is ' +
    'asked, `apisix_llm_active_connections`.\n\nOf streams there are `apisix_stream_connection_total`, ' +
    '`apisix_stream_active_connections`, `apisix_stream_status` and `apisix_stream_bandwidth` (types ingress, egress; ' +
    'sides downstream, upstream), of the sessions of routes that have this policy. Bytes are counted when a session ' +
    'is over.\n\nThe metrics are at `/apisix/prometheus/metrics` and `/metrics` of ' +
    '`gateway.metrics`, and on a route with `public-api` for clients of the traffic port. `gateway.prometheus` has ' +
    'their prefix, buckets, further labels and lifetimes; APISIX\u2019s `plugin_attr.prometheus` is understood. A metric ' +
    'has at most 10000 label sets on each thread; what is beyond them counts under the label `_overflow`.',
  yieldsToRoute: true,
  stage: 'transform',
  priority: 500,
  version: 0.2,
  stream: {
    config: streamConfig,
    create: ({ prefer_name: preferName }, host) => countSessions(host.metrics, preferName),
  },
  config: Type.Object(
    {
      prefer_name: Type.Boolean({
        default: false,
        description: 'Label series with the names of route and service, where they have one, not their ids.',
      }),
    },
    openInApisix,
  ),
  metadata: Type.Object(
    {
      disabled_labels: Type.Optional(
        Type.Object(
          {
            http_status: disabledLabels('http_status'),
            http_latency: disabledLabels('http_latency'),
            bandwidth: disabledLabels('bandwidth'),
            ...llmLabels,
          },
          { ...closedInApisix, description: 'Labels to leave empty, by metric.' },
        ),
      ),
    },
    openInApisix,
  ),
  create({ prefer_name: preferName }, host) {
    const instruments = instrumentsOf(host.metrics, host.prometheus)
    const extra = new ExtraLabels(host.prometheus.extra_labels, (text) => host.template(text))
    const disabled = host.metadata?.disabled_labels ?? {}
    let known = new SeriesTree()
    /** The branch of a binding: its labels are the same in every request. */
    let branches = new WeakMap<BindingInfo, SeriesTree>()
    let kept = 0

    return {
      observe(exchange) {
        const { timings } = exchange
        const call = exchange.told?.request_type === undefined ? undefined : modelCall(exchange)
        const series = seriesOf(exchange, call)
        if (call !== undefined)
          countModelCall(
            host.metrics,
            host.prometheus,
            exchange,
            call,
            { ...labelsOf(exchange, call), ...modelLabels(call) },
            disabled,
          )
        instruments.status.add(series.status(exchange.response.status, responseSource(exchange)), 1)
        const total = timings.end - timings.start
        let own = total
        if (timings.upstreamStart !== 0) {
          const upstream = timings.end - timings.upstreamStart
          own = Math.max(0, total - upstream)
          instruments.latency.observe(series.upstream, upstream)
        }
        instruments.latency.observe(series.request, total)
        instruments.latency.observe(series.gateway, own)
        instruments.bandwidth.add(series.ingress, exchange.request.headBytes + exchange.request.bodyBytes)
        instruments.bandwidth.add(series.egress, exchange.response.headBytes + exchange.response.bodyBytes)
      },
    }

    function seriesOf(exchange: Exchange, call: ModelCall | undefined): Series {
      const { binding, consumer } = exchange
      let leaf = (binding ? branchOf(binding) : known)
        .child(consumer?.username ?? '')
        .child(nodeOf(exchange, call))
      if (call !== undefined) for (const value of Object.values(modelLabels(call))) leaf = leaf.child(value)
      if (extra.isUsed) for (const value of extra.read(exchange)) leaf = leaf.child(value)
      if (leaf.series) return leaf.series

      if (kept === seriesKept) {
        known = new SeriesTree()
        branches = new WeakMap()
        kept = 0
      }
      kept++
      const labels = labelsOf(exchange, call)
      leaf.series = new Series(
        instruments,
        call === undefined ? labels : { ...labels, ...modelLabels(call) },
        disabled,
        extra.values,
      )
      return leaf.series
    }

    function labelsOf(exchange: Exchange, call: ModelCall | undefined) {
      const { binding, consumer } = exchange
      return {
        route: (preferName && binding?.routeName) || (binding?.routeId ?? ''),
        matched_uri: binding?.matchedUri ?? '',
        matched_host: binding?.matchedHost ?? '',
        service: (preferName && binding?.serviceName) || (binding?.serviceId ?? ''),
        consumer: consumer?.username ?? '',
        node: nodeOf(exchange, call),
      }
    }

    function branchOf(binding: BindingInfo): SeriesTree {
      let branch = branches.get(binding)
      if (!branch) {
        branch = new SeriesTree()
        branches.set(binding, branch)
      }
      return branch
    }
  },
})

/** What answered; of language models, the instance that was asked. */
function nodeOf({ upstream }: Exchange, call: ModelCall | undefined): string {
  if (call === undefined || call.attempts.length === 0) return upstream?.ip ?? ''
  return call.instances[0] ?? ''
}

function disabledLabels(metric: MetricName) {
  const names = metricLabels[metric].filter((label) => label !== structuralLabels[metric])
  return labelsToLeaveEmpty(names)
}

function labelsToLeaveEmpty(names: string[]) {
  return Type.Optional(Type.Array(Type.Enum(names), { description: 'Labels of this metric to leave empty.' }))
}
