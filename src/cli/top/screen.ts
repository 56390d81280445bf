/** What `sluice top` shows of two readings: what happened between them, and how things stand. */
import { textTable } from '../text-table.ts'
import type { Reading, Sample } from './reading.ts'

const mostRows = 20
/** From which part of a limit on it is shown. */
const closeToTheEnd = 0.8

/** @param seconds between the two */
export function screen(before: Reading, now: Reading, seconds: number): string {
  const rate = (name: string, accepts?: (labels: Sample['labels']) => boolean) =>
    Math.max(0, now.sum(name, accepts) - before.sum(name, accepts)) / seconds
  const parts = [summary(now, rate), routes(before, now, seconds), upstreams(now), limits(now, rate)]
  return parts.filter((part) => part !== '').join('\n')
}

type Rate = (name: string, accepts?: (labels: Sample['labels']) => boolean) => number

function summary(now: Reading, rate: Rate): string {
  const cpu = 100 * rate('process_cpu_seconds_total')
  const isData = ({ thread }: Sample['labels']) => thread !== 'control'
  const busy = now.samples('nodejs_eventloop_utilization').filter(({ labels }) => isData(labels))
  const lag = now.samples('nodejs_eventloop_lag_p99_seconds').filter(({ labels }) => isData(labels))
  const most = (samples: Sample[]) => Math.max(0, ...samples.map(({ value }) => value))
  const failures = [
    'sluice_upstream_connect_failures_total',
    'sluice_upstream_timeouts_total',
    'sluice_upstream_aborts_total',
  ].reduce((sum, name) => sum + rate(name), 0)
  return textTable([
    [
      'gateway',
      now.sum('sluice_ready') === 1 ? 'ready' : 'NOT READY',
      `configuration ${now.sum('sluice_config_version')}, ${now.sum('sluice_config_rejected_total')} refused`,
      `${now.sum('sluice_threads')} threads, ${now.sum('sluice_thread_restarts_total')} replaced`,
    ],
    [
      'load',
      `CPU ${cpu.toFixed(0)} %`,
      `busiest thread ${(100 * most(busy)).toFixed(0)} %, its loop waits ${(1000 * most(lag)).toFixed(1)} ms (p99)`,
      `memory ${(now.sum('process_resident_memory_bytes') / 2 ** 20).toFixed(0)} MiB`,
    ],
    [
      'clients',
      `${perSecond(rate('sluice_requests_total'))} requests`,
      `${now.sum('apisix_nginx_http_current_connections', ({ state }) => state === 'active')} connections, ${perSecond(rate('sluice_connections_accepted_total'))} new, ${perSecond(rate('sluice_connections_refused_total'))} refused`,
      `${perSecond(rate('sluice_bad_requests_total'))} malformed`,
    ],
    [
      'policies',
      `${perSecond(rate('sluice_rejected_by_policy_total'))} refused`,
      `${perSecond(rate('sluice_policy_errors_total'))} failed`,
      '',
    ],
    [
      'upstreams',
      `${perSecond(failures)} failures`,
      `${perSecond(rate('sluice_upstream_retries_total'))} retries, ${perSecond(rate('sluice_upstream_connects_total'))} new connections`,
      '',
    ],
  ])
}

/** Those of the most requests; only routes on which the `prometheus` policy counts are known. */
function routes(before: Reading, now: Reading, seconds: number): string {
  const answers = new Map<string, number[]>()
  const earlier = valuesOf(before.samples('apisix_http_status'))
  for (const sample of now.samples('apisix_http_status')) {
    const { route = '', code = '' } = sample.labels
    const counts = answers.get(route) ?? [0, 0, 0, 0, 0, 0]
    const grown = Math.max(0, sample.value - (earlier.get(keyOf(sample)) ?? 0))
    const kind = Number(code[0])
    counts[0]! += grown
    if (kind > 0 && kind < counts.length) counts[kind]! += grown
    answers.set(route, counts)
  }
  const rows = [...answers].filter(([, [all]]) => all! > 0).sort(([, [a]], [, [b]]) => b! - a!)
  if (rows.length === 0) return ''
  const cells = rows.slice(0, mostRows).map(([route, [all, , , , refused, failed]]) => {
    const latency = (type: string, part: number) => {
      const found = quantile(before, now, { type, route }, part)
      return found === undefined ? '-' : found === Infinity ? 'over' : String(Math.round(found))
    }
    return [
      route === '' ? '(no route)' : route,
      perSecond(all! / seconds),
      percent(refused!, all!),
      percent(failed!, all!),
      latency('request', 0.5),
      latency('request', 0.99),
      latency('upstream', 0.99),
    ]
  })
  const head = ['ROUTE', 'REQUESTS', '4XX', '5XX', 'P50 MS', 'P99 MS', 'P99 MS OF UPSTREAM']
  const more = rows.length > mostRows ? `and ${rows.length - mostRows} more\n` : ''
  return textTable([head, ...cells]) + more
}

/** Those with an endpoint that is down, ejected, or with a panic, before the others. */
function upstreams(now: Reading): string {
  const states = new Map<string, { up: number; all: number; ejected: number; panicking: boolean }>()
  const stateOf = (name = '') => {
    const state = states.get(name) ?? { up: 0, all: 0, ejected: 0, panicking: false }
    states.set(name, state)
    return state
  }
  for (const { labels, value } of now.samples('apisix_upstream_status')) {
    const state = stateOf(labels.name)
    state.all++
    state.up += value
  }
  for (const { labels, value } of now.samples('sluice_upstream_ejected')) stateOf(labels.name).ejected = value
  for (const { labels, value } of now.samples('sluice_upstream_panicking'))
    stateOf(labels.name).panicking = value === 1
  if (states.size === 0) return ''
  const troubles = ({
    up,
    all,
    ejected,
    panicking,
  }: {
    up: number
    all: number
    ejected: number
    panicking: boolean
  }) => all - up + ejected + (panicking ? 1000 : 0)
  const rows = [...states].sort(([, a], [, b]) => troubles(b) - troubles(a)).slice(0, mostRows)
  return textTable([
    ['UPSTREAM', 'UP', 'EJECTED', ''],
    ...rows.map(([name, { up, all, ejected, panicking }]) => [
      name,
      all === 0 ? '-' : `${up} of ${all}`,
      String(ejected),
      panicking ? 'all are used: too few are usable' : up < all ? 'DEGRADED' : '',
    ]),
  ])
}

/** Limits of circuit breakers that are nearly used up, or refuse. */
function limits(now: Reading, rate: Rate): string {
  const inUse = valuesOf(now.samples('sluice_upstream_breaker_current'))
  const rows: string[][] = []
  for (const sample of now.samples('sluice_upstream_breaker_limit')) {
    const { upstream = '', limit = '' } = sample.labels
    const used = inUse.get(keyOf(sample)) ?? 0
    const refused = rate(
      'sluice_upstream_breaker_refused_total',
      (labels) => labels.upstream === upstream && labels.limit === limit,
    )
    if (used < closeToTheEnd * sample.value && refused === 0) continue
    rows.push([upstream, limit, `${used} of ${sample.value}`, perSecond(refused)])
  }
  return rows.length === 0
    ? ''
    : textTable([['LIMIT OF', 'WHAT', 'IN USE', 'REFUSED'], ...rows.slice(0, mostRows)])
}

const keyOf = ({ labels }: Sample) => JSON.stringify(Object.entries(labels).sort())
const valuesOf = (samples: readonly Sample[]) =>
  new Map(samples.map((sample) => [keyOf(sample), sample.value]))

/** The upper bound of the bucket in which it lies, in milliseconds. Undefined: there was nothing. */
function quantile(
  before: Reading,
  now: Reading,
  { type, route }: { type: string; route: string },
  part: number,
): number | undefined {
  const name = 'apisix_http_latency_bucket'
  const bounds = new Map<number, number>()
  const add = (samples: readonly Sample[], sign: number) => {
    for (const { labels, value } of samples) {
      if (labels.type !== type || labels.route !== route) continue
      const bound = labels.le === '+Inf' ? Infinity : Number(labels.le)
      bounds.set(bound, (bounds.get(bound) ?? 0) + sign * value)
    }
  }
  add(now.samples(name), 1)
  add(before.samples(name), -1)
  const all = bounds.get(Infinity) ?? 0
  if (all <= 0) return undefined
  return [...bounds].sort(([a], [b]) => a - b).find(([, count]) => count >= part * all)![0]
}

function perSecond(value: number): string {
  return `${value >= 100 || value === 0 ? value.toFixed(0) : value.toFixed(1)}/s`
}

function percent(part: number, all: number): string {
  return part === 0 ? '0' : `${((100 * part) / all).toFixed(1)} %`
}
