import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Bench, Scenario } from '../bench.ts'
import type { Acknowledged, AgentsTask } from '../fleet/agents.ts'
import { BenchControlPlane } from '../fleet/control-plane.ts'
import { type Launched, launch } from '../launch.ts'
import { sluice } from '../opponents/sluice.ts'
import { type ProbeReport, SteadyProbe } from '../probe.ts'
import { residentBytes } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { freePort, mebibyte } from '../site.ts'

const main = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))
const agentsFile = fileURLToPath(new URL('../fleet/agents.ts', import.meta.url))

const routes = 10_000
const agents = 1_000
const processes = 2
/** Changed by each publication. */
const changed = 7_777
const heartbeat = 10_000
const must = { p99: 2_000, residentMiB: 400, patch: 4096, stallMs: 50 }

export const fleet: Scenario = {
  name: 'fleet',
  summary:
    '10 000 routes, one of which changes. First 1 000 simulated gateways in two processes on one core, each with a certificate and connections of its own, follow a control plane on the other: from the request that changes the route to the answer to the acknowledgement. Then a real gateway with two data threads on both cores follows it, while a steady client (500 requests/s, 8 connections) watches.',
  run,
}

async function run(bench: Bench): Promise<Section> {
  if (!bench.opponents.includes(sluice)) return section([], ['sluice took no part'], null)
  const { site, options, progress } = bench
  const folder = mkdtempSync(join(site.folder, 'fleet-'))
  progress('fleet: starting a control plane with 10 000 routes')
  const plane = await BenchControlPlane.start(folder, site.cores.gateway, site.nodeArguments)
  try {
    await plane.administer('PUT', '/apisix/admin/configs', document(site.upstreamPort))
    const rounds = options.quick ? 5 : 20
    const published = await watchAgents(bench, plane, rounds)
    const applied = await watchGateway(bench, plane, folder, options.quick ? 5 : 10)
    return describe(published, applied)
  } finally {
    await plane.stop()
  }
}

const routeOf = (index: number, version: number) => ({
  uri: `/r/${index}${index === changed ? `/${version}` : ''}`,
  upstream_id: 'u',
  plugins: { cors: {} },
})

const document = (upstreamPort: number) => ({
  upstreams: [{ id: 'u', nodes: { [`127.0.0.1:${upstreamPort}`]: 1 } }],
  routes: Array.from({ length: routes }, (_, index) => ({ id: `r${index}`, ...routeOf(index, 0) })),
})

const change = (plane: BenchControlPlane, version: number) =>
  plane.administer('PUT', `/apisix/admin/routes/r${changed}`, routeOf(changed, version))

interface Published {
  /** Milliseconds, over all agents and rounds. */
  p50: number
  p99: number
  longest: number
  /** Bytes of a patch. */
  patch: number
  forms: string[]
  /** Requests of the agents that had no answer, while all of them came and after that. */
  failures: number
  /** The most at any time, in MiB. */
  resident: number
}

async function watchAgents(bench: Bench, plane: BenchControlPlane, rounds: number): Promise<Published> {
  bench.progress(`fleet: registering ${agents} gateways`)
  const crowd = new Crowd(plane, bench.site.cores.load)
  let resident = 0
  const look = setInterval(() => {
    resident = Math.max(resident, residentBytes(plane.pid) / mebibyte)
  }, 100)
  try {
    await crowd.complete()
    // Heartbeats of all of them, and what the crowd of starts left behind.
    await sleep(heartbeat)
    const waits: number[] = []
    const patches: number[] = []
    const forms = new Set<string>()
    let failures = 0
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`fleet: publication ${round} of ${rounds}`)
      const complete = crowd.complete()
      const began = performance.timeOrigin + performance.now()
      await change(plane, round)
      const acknowledged = await complete
      failures = acknowledged.reduce((sum, one) => sum + one.failures, 0)
      for (const { at, bytes, form } of acknowledged) {
        waits.push(at - began)
        forms.add(form)
        if (form === 'patch') patches.push(bytes)
      }
      await sleep(500)
    }
    waits.sort((a, b) => a - b)
    const part = (share: number) => waits[Math.floor(share * (waits.length - 1))]!
    const patch = Math.max(0, ...patches)
    return { p50: part(0.5), p99: part(0.99), longest: part(1), patch, forms: [...forms], failures, resident }
  } finally {
    clearInterval(look)
    crowd.stop()
  }
}

/** The simulated gateways, in processes of their own. */
class Crowd {
  readonly #children: ChildProcess[] = []
  /** By agent. */
  #seen = new Map<number, Acknowledged>()
  #complete: (seen: Acknowledged[]) => void = () => {}
  #failed: (error: Error) => void = () => {}

  constructor(plane: BenchControlPlane, core: string) {
    const { platform, ca, headers } = plane
    const count = agents / processes
    for (let index = 0; index < processes; index++) {
      const child = spawn('taskset', ['-c', core, process.execPath, agentsFile], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      const task: AgentsTask = { platform, ca, headers, first: index * count, count, heartbeat }
      child.send(task)
      child.on('message', (message) => this.#heard(message as Acknowledged))
      child.on('exit', () => this.#failed(new Error('the simulated gateways ended')))
      this.#children.push(child)
    }
  }

  /** Resolves when every agent has acknowledged something from now on. */
  complete(): Promise<Acknowledged[]> {
    this.#seen = new Map()
    return new Promise((resolve, reject) => {
      this.#complete = resolve
      this.#failed = reject
    })
  }

  stop(): void {
    for (const child of this.#children) {
      child.removeAllListeners('exit')
      if (child.connected) child.disconnect()
    }
  }

  #heard(acknowledged: Acknowledged): void {
    this.#seen.set(acknowledged.agent, acknowledged)
    if (this.#seen.size === agents) this.#complete([...this.#seen.values()])
  }
}

interface Applied {
  quiet: ProbeReport
  rounds: ProbeReport[]
  /** Milliseconds from the request that changed the route to its first answer by the gateway. */
  effective: number[]
  /** The worst lag of a data thread, milliseconds. */
  lag: number
}

async function watchGateway(
  bench: Bench,
  plane: BenchControlPlane,
  folder: string,
  rounds: number,
): Promise<Applied> {
  bench.progress('fleet: starting a gateway that follows the control plane')
  const ports = { traffic: await freePort(), metrics: await freePort() }
  const gateway = await startGateway(bench, plane, join(folder, 'gateway'), ports)
  const probe = await SteadyProbe.open(ports.traffic, '/r/1', 8, 2)
  const lag = new LagWatch(ports.metrics)
  try {
    await sleep(2_000)
    probe.reset()
    await sleep(3_000)
    const quiet = probe.report()
    lag.begin()
    const reports: ProbeReport[] = []
    const effective: number[] = []
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`fleet: application ${round} of ${rounds}`)
      probe.reset()
      const began = performance.now()
      const version = 1_000 + round
      await change(plane, version)
      while ((await fetch(`http://127.0.0.1:${ports.traffic}/r/${changed}/${version}`)).status !== 200) {
        if (performance.now() - began > 30_000) throw new Error('the change did not reach the gateway')
        await sleep(5)
      }
      effective.push(performance.now() - began)
      await sleep(500)
      reports.push(probe.report())
    }
    // The gauges are of the last five seconds.
    await sleep(5_500)
    return { quiet, rounds: reports, effective, lag: await lag.end() }
  } finally {
    probe.close()
    await gateway.stop()
  }
}

/** The event loops of the data threads, as the gateway's own metrics have them. */
class LagWatch {
  readonly #url: string
  #worst = 0
  #timer: NodeJS.Timeout | undefined

  constructor(port: number) {
    this.#url = `http://127.0.0.1:${port}/metrics`
  }

  begin(): void {
    this.#timer = setInterval(() => void this.#look(), 2_000)
  }

  async end(): Promise<number> {
    clearInterval(this.#timer)
    await this.#look()
    return this.#worst
  }

  async #look(): Promise<void> {
    const text = await (await fetch(this.#url)).text()
    for (const [, value] of text.matchAll(/^nodejs_eventloop_lag_max_seconds\{thread="\d+"\} (\S+)$/gm)) {
      this.#worst = Math.max(this.#worst, Number(value) * 1000)
    }
  }
}

async function startGateway(
  { site }: Bench,
  plane: BenchControlPlane,
  folder: string,
  ports: { traffic: number; metrics: number },
): Promise<Launched> {
  mkdirSync(folder)
  const created = await plane.administer(
    'POST',
    '/api/gateway_groups/default/instance_tokens?only_token=true',
  )
  execFileSync(process.execPath, [
    main,
    'register',
    'bench-gateway',
    `--token=${created}`,
    `--control-plane=${plane.platform}`,
    '--connected=true',
    `--output-directory=${folder}`,
  ])
  const settings = {
    listeners: [{ name: 'http', host: '127.0.0.1', port: ports.traffic }],
    workers: 2,
    limits: { requests_per_connection: 10_000_000 },
    control: { enabled: false },
    metrics: { port: ports.metrics },
    admin: { enabled: false },
    data_dir: join(folder, 'data'),
    log: { level: 'warn' },
  }
  writeFileSync(join(folder, 'gateway.json'), JSON.stringify({ gateway: settings }))
  const { cores, nodeArguments } = site
  const command = [process.execPath, ...nodeArguments, main, 'start', '-c', folder]
  const core = `${cores.gateway},${cores.load}`
  return launch({ name: 'sluice', folder, core, command, port: ports.traffic, patience: 30_000 })
}

function describe(published: Published, applied: Applied): Section {
  const { p50, p99, longest, patch, forms, failures, resident } = published
  const stall = Math.max(...applied.rounds.map(({ longestWait }) => longestWait))
  const lateness = Math.max(...applied.rounds.map((it) => it.lateness))
  const effective = applied.effective.toSorted((a, b) => a - b)
  const rows = [
    [
      'change to acknowledged by one of 1 000, p50 / p99 / longest, ms',
      `${p50.toFixed(0)} / ${p99.toFixed(0)} / ${longest.toFixed(0)}`,
      `p99 < ${must.p99}`,
    ],
    ['RSS of the control plane with them, at its highest, MiB', resident.toFixed(0), `< ${must.residentMiB}`],
    ['patch for one route, bytes', String(patch), `< ${must.patch}`],
    [
      'change to served by a gateway, median / longest, ms',
      `${effective[effective.length >> 1]!.toFixed(0)} / ${effective.at(-1)!.toFixed(0)}`,
      '',
    ],
    ['longest wait of traffic meanwhile, ms', stall.toFixed(1), `< ${must.stallMs}`],
    ['longest wait of traffic without, ms', applied.quiet.longestWait.toFixed(1), ''],
    ['worst lag of a data thread, ms', applied.lag.toFixed(1), `< ${must.stallMs}`],
    ['lateness of the watching client, ms', lateness.toFixed(1), ''],
  ]
  const met = (isMet: boolean) => (isMet ? 'met' : 'MISSED')
  const notes = [
    `publish to acknowledged: ${met(p99 < must.p99)}`,
    `memory: ${met(resident < must.residentMiB)}`,
    `patch: ${met(patch > 0 && patch < must.patch && forms.join() === 'patch')}`,
    `traffic: ${met(stall < must.stallMs && applied.lag < must.stallMs)}`,
  ]
  if (failures > 0)
    notes.push(
      `${failures} requests of simulated gateways had no answer, and were sent again: all of them came at once`,
    )
  if (lateness > must.stallMs / 2)
    notes.push('the machine was not quiet: the client itself woke late, so its waits say little')
  return section(rows, notes, { published, applied })
}

function section(rows: string[][], notes: string[], data: unknown): Section {
  return {
    name: fleet.name,
    summary: fleet.summary,
    columns: ['figure', 'sluice', 'must'],
    rows,
    notes,
    data,
  }
}
