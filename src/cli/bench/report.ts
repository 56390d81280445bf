import { STATUS_CODES } from 'node:http'
import type { LoadResult } from './load.ts'
import type { BenchOptions } from './options.ts'
import type { Tally } from './tally.ts'

const shares = [
  ['p50', 0.5],
  ['p75', 0.75],
  ['p90', 0.9],
  ['p99', 0.99],
  ['p99_9', 0.999],
] as const

/** What a program reads of a load test. Times in milliseconds, sizes in bytes, rates per second. */
export function jsonReport({ url, plan }: BenchOptions, result: LoadResult): object {
  const { tally, elapsed, sent, unsent } = result
  const { latencies } = tally
  const milliseconds = (microseconds: number) => Math.round(microseconds) / 1_000
  return {
    url: url.href,
    connections: plan.connections,
    rate: plan.rate ?? null,
    elapsed: Math.round(elapsed),
    requests: { sent, unsent, answered: tally.answers, failed: tally.failures },
    throughput: { requests: perSecond(tally.answers, elapsed), bytes: perSecond(tally.bytes, elapsed) },
    statuses: Object.fromEntries(tally.statuses),
    errors: Object.fromEntries(tally.errors),
    latency: {
      min: milliseconds(latencies.min),
      mean: milliseconds(latencies.mean),
      ...Object.fromEntries(shares.map(([name, share]) => [name, milliseconds(latencies.percentile(share))])),
      max: milliseconds(latencies.max),
      histogram: [...latencies].map(({ from, to, count }) => ({
        from: milliseconds(from),
        to: milliseconds(to),
        count,
      })),
    },
  }
}

/** What a person reads. */
export function textReport({ url, plan }: BenchOptions, result: LoadResult): string {
  const { tally, elapsed, sent, unsent } = result
  const pace = plan.rate === undefined ? 'as fast as answers come' : `${plan.rate} requests/s`
  const lines = [
    `${url.href}: ${plan.connections} connections, ${pace}, ${(elapsed / 1_000).toFixed(1)} s`,
    '',
    `Requests    ${sent} sent, ${tally.answers} answered (${perSecond(tally.answers, elapsed).toFixed(1)}/s)`,
    `Received    ${megabytes(tally.bytes)} MB (${megabytes(perSecond(tally.bytes, elapsed))} MB/s)`,
    `Statuses    ${statuses(tally)}`,
  ]
  if (tally.failures > 0) lines.push(`Errors      ${errors(tally)}`)
  if (unsent > 0) lines.push(`Not sent    ${unsent} were due and found no free connection`)
  if (tally.answers > 0) lines.push('', ...latencyLines(tally))
  return `${lines.join('\n')}\n`
}

/** One line on a run under way. */
export function progressLine(tally: Tally, elapsed: number): string {
  const failed = tally.failures > 0 ? `, ${tally.failures} failed` : ''
  const p99 = (tally.latencies.percentile(0.99) / 1_000).toFixed(2)
  return `${(elapsed / 1_000).toFixed(0)} s  ${tally.answers} answered (${statuses(tally)})${failed}  p99 ${p99} ms`
}

function latencyLines(tally: Tally): string[] {
  const { latencies } = tally
  const figures = [
    ['min', latencies.min],
    ['mean', latencies.mean],
    ...shares.map(([name, share]) => [name.replace('_', '.'), latencies.percentile(share)] as const),
    ['max', latencies.max],
  ] as const
  const octaves = latencies.octaves()
  const most = Math.max(...octaves.map(({ count }) => count))
  return [
    'Latency, ms',
    ...figures.map(([name, value]) => `  ${name.padEnd(8)}${(value / 1_000).toFixed(3).padStart(12)}`),
    '',
    'Latency from, ms',
    ...octaves.map(({ from, count }) => {
      const bar = '#'.repeat(Math.ceil((40 * count) / most))
      return `  ${(from / 1_000).toFixed(3).padStart(10)} |${bar.padEnd(40)} ${count}`
    }),
  ]
}

function statuses(tally: Tally): string {
  const counts = [...tally.statuses].toSorted(([a], [b]) => a - b)
  return (
    counts.map(([status, count]) => `${status} ${STATUS_CODES[status] ?? ''}: ${count}`).join(', ') || 'none'
  )
}

function errors(tally: Tally): string {
  return [...tally.errors].map(([kind, count]) => `${kind}: ${count}`).join(', ')
}

function perSecond(count: number, elapsed: number): number {
  return elapsed === 0 ? 0 : Math.round((count * 10_000) / elapsed) / 10
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(2)
}
