import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Scenario } from './bench.ts'
import { type Gateway, startGateway } from './gateway.ts'
import type { Opponent } from './opponents/opponent.ts'
import { coreMicros, cpuMicros, residentBytes } from './process-tree.ts'
import type { Section } from './section.ts'
import { mebibyte } from './site.ts'
import { median, type Spread, spread } from './statistics.ts'
import { sendTraffic, type Traffic } from './traffic.ts'
import { verify, verifyLog } from './verify.ts'
import { forwarding, type Work } from './work.ts'

/** Gateways side by side under the same traffic; the unit is nginx, forwarding only, in the same round. */
export interface Comparison {
  name: string
  summary: string
  traffic: Traffic
  contenders(bench: Bench): Contender[]
  targets: readonly Target[]
}

export interface Contender {
  /** Unique within the scenario: `sluice`, `sluice, 1000 routes`. */
  label: string
  opponent: Opponent
  work: Work
}

/** The most that `label` may cost beside `than`. */
export type Target = RatioTarget | DifferenceTarget

interface RatioTarget {
  label: string
  than: string
  /** Ratios of medians. */
  must: number
  aim: number
}

interface DifferenceTarget {
  label: string
  than: string
  /** CPU microseconds more for each request. */
  mostMore: number
}

/** One measurement of one contender. */
export interface Sample {
  round: number
  /** CPU microseconds of all processes of the gateway for each request. */
  cpu: number
  requestsPerSecond: number
  /** Microseconds, at saturation. */
  p50: number
  p99: number
  /** Share of its core that the gateway used; below about 0.9 it was waiting for the load or the upstream. */
  busy: number
  /** Share of that core that went to something else than the gateway. */
  disturbed: number
  /** Answers outside 2xx and 3xx, and requests that failed, of all requests. */
  errors: number
}

export const unit = 'nginx'

/** Errors above this share spoil a measurement. */
const tolerated = 0.001

export function comparison(plan: Comparison): Scenario {
  return { name: plan.name, summary: plan.summary, run: (bench) => compare(bench, plan) }
}

interface Running {
  contender: Contender
  gateway: Gateway
  samples: Sample[]
  /** Its load could not be run to the end; it is left alone from then on. */
  failed: boolean
}

async function compare(bench: Bench, plan: Comparison): Promise<Section> {
  const running: Running[] = []
  const notes: string[] = []
  try {
    for (const contender of plan.contenders(bench)) {
      bench.progress(`${plan.name}: starting ${contender.label}`)
      const started = await join(bench, plan, contender).catch((error: Error) => error)
      if (started instanceof Error) notes.push(`${contender.label} took no part: ${started.message}`)
      else running.push(started)
    }
    for (let round = 1; round <= bench.options.rounds; round++)
      await runRound(bench, plan, running, round, notes)
    return summarise(plan, running, notes)
  } finally {
    await Promise.all(running.map(({ gateway }) => gateway.stop()))
  }
}

/**
 * What a route needs beyond its place in the table is made for its first request. A warm-up asks for each route about this
 * often, from places drawn by lot, so that nearly all have been asked for when measuring begins.
 */
const warmRounds = 3

/** Starts a contender, proves that it does its work, and warms it up. */
async function join(bench: Bench, plan: Comparison, contender: Contender): Promise<Running> {
  const { opponent, work } = contender
  const gateway = await startGateway(bench.site, opponent, work)
  try {
    await verify(gateway.port, opponent.bare ? { ...forwarding, tls: work.tls } : work, plan.traffic)
    const log = work.accessLog ? opponent.accessLog?.(gateway.folder) : undefined
    if (!opponent.native || log !== undefined) {
      const warmup = opponent.native ? 1 : bench.options.warmup
      let requests = 0
      do requests += (await sendTraffic(bench.site, gateway.port, plan.traffic, work, warmup)).requests
      while (requests < warmRounds * work.routes)
      if (log !== undefined) await verifyLog(log, requests)
    }
  } catch (error) {
    await gateway.stop()
    throw error
  }
  return { contender, gateway, samples: [], failed: false }
}

/** Everyone once, starting with another one each time, and the unit first; in a full run also last. */
async function runRound(
  bench: Bench,
  plan: Comparison,
  running: Running[],
  round: number,
  notes: string[],
): Promise<void> {
  const units = running.filter(({ contender }) => contender.label === unit)
  const others = running.filter(({ contender }) => contender.label !== unit)
  const turned = others.map((_, index) => others[(index + round) % others.length]!)
  for (const one of [...units, ...turned, ...(bench.options.quick ? [] : units)]) {
    const { label } = one.contender
    if (one.failed) continue
    bench.progress(`${plan.name}: round ${round} of ${bench.options.rounds}, ${label}`)
    try {
      const sample = await measure(bench, plan, one, round)
      one.samples.push(sample)
      if (sample.errors > tolerated)
        notes.push(`${label}, round ${round}: ${(100 * sample.errors).toFixed(2)} % of its requests failed`)
    } catch (error) {
      one.failed = true
      notes.push(`${label} dropped out in round ${round}: ${(error as Error).message}`)
    }
  }
}

async function measure(bench: Bench, plan: Comparison, one: Running, round: number): Promise<Sample> {
  const { gateway, contender } = one
  const before = { cpu: cpuMicros(gateway.pid), core: coreMicros(bench.site.cores.gateway) }
  const run = await sendTraffic(bench.site, gateway.port, plan.traffic, contender.work, bench.options.seconds)
  await sleep(20)
  const used = cpuMicros(gateway.pid) - before.cpu
  const others = coreMicros(bench.site.cores.gateway) - before.core - used
  return {
    round,
    cpu: used / run.requests,
    requestsPerSecond: run.requestsPerSecond,
    p50: run.p50,
    p99: run.p99,
    busy: used / (run.seconds * 1e6),
    disturbed: Math.max(0, others / (run.seconds * 1e6)),
    errors: (run.refused + run.failed) / run.requests,
  }
}

/** What a contender's rounds come to. */
export interface Standing {
  label: string
  cpu: Spread
  /** To the unit's mean in the same round; absent when there was no unit. */
  ratio?: Spread
  requestsPerSecond: number
  p50: number
  p99: number
  busy: number
  samples: Sample[]
}

export function standing(label: string, samples: Sample[], units: readonly Sample[]): Standing {
  const ratios = samples.flatMap((sample) => {
    const same = units.filter(({ round }) => round === sample.round)
    return same.length === 0 ? [] : [sample.cpu / mean(same.map(({ cpu }) => cpu))]
  })
  return {
    label,
    cpu: spread(samples.map(({ cpu }) => cpu)),
    ...(ratios.length > 0 && { ratio: spread(ratios) }),
    requestsPerSecond: median(samples.map((sample) => sample.requestsPerSecond)),
    p50: median(samples.map(({ p50 }) => p50)),
    p99: median(samples.map(({ p99 }) => p99)),
    busy: median(samples.map(({ busy }) => busy)),
    samples,
  }
}

function summarise(plan: Comparison, running: Running[], notes: string[]): Section {
  const units = running.find(({ contender }) => contender.label === unit)?.samples ?? []
  const measured = running.filter(({ samples }) => samples.length > 0)
  const standings = measured.map(({ contender, samples }) => standing(contender.label, samples, units))
  const resident = new Map(
    running.map(({ contender, gateway }) => [contender.label, residentBytes(gateway.pid)]),
  )
  return {
    name: plan.name,
    summary: plan.summary,
    columns: [
      'gateway',
      'CPU us/request',
      'ratio to nginx',
      'requests/s',
      'p50 ms',
      'p99 ms',
      'busy',
      'RSS MiB',
    ],
    rows: standings.map((it) => [
      it.label,
      figures(it.cpu, 1),
      it.ratio ? figures(it.ratio, 2) : '-',
      it.requestsPerSecond.toFixed(0),
      (it.p50 / 1_000).toFixed(2),
      (it.p99 / 1_000).toFixed(2),
      percent(it.busy),
      (resident.get(it.label)! / mebibyte).toFixed(0),
    ]),
    notes: [...plan.targets.flatMap((target) => judge(target, running)), ...disturbance(standings), ...notes],
    data: { standings, resident: Object.fromEntries(resident) },
  }
}

/** A sentence on a target; nothing when one of the two was not measured. */
function judge(target: Target, running: readonly Running[]): string[] {
  const samples = (label: string) => running.find(({ contender }) => contender.label === label)?.samples ?? []
  const [measured, base] = [samples(target.label), samples(target.than)]
  if (measured.length === 0 || base.length === 0) return []
  if ('mostMore' in target) {
    const more = median(differences(measured, base))
    const verdict = more < target.mostMore ? 'met' : 'MISSED'
    return [
      `${target.label} against ${target.than}: ${more.toFixed(1)} us more; must be under ${target.mostMore} us, ${verdict}`,
    ]
  }
  const { ratio } = standing(target.label, measured, base)
  const verdict = ratio!.median <= target.must ? 'met' : 'MISSED'
  const aim = ratio!.median <= target.aim ? 'met' : 'not yet'
  return [
    `${target.label} against ${target.than}: ${ratio!.median.toFixed(2)}; must ${target.must} ${verdict}, aim ${target.aim} ${aim}`,
  ]
}

/** CPU microseconds a request, round by round. */
function differences(measured: readonly Sample[], base: readonly Sample[]): number[] {
  return measured.flatMap((sample) => {
    const same = base.filter(({ round }) => round === sample.round)
    return same.length === 0 ? [] : [sample.cpu - mean(same.map(({ cpu }) => cpu))]
  })
}

/** A note when something else had more than a tenth of the gateways' core. */
function disturbance(standings: readonly Standing[]): string[] {
  const shares = standings.flatMap(({ samples }) => samples.map(({ disturbed }) => disturbed))
  if (shares.length === 0) return []
  const { median, max } = spread(shares)
  const text = `other programs had ${percent(median)} of the gateways' core (at worst ${percent(max)})`
  return median > 0.1 ? [`the machine was not quiet: ${text}; trust nothing but the order of size`] : []
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}

function figures({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} [${min.toFixed(digits)}-${max.toFixed(digits)}]`
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
