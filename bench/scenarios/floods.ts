import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Bench, Scenario } from '../bench.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import type { Opponent } from '../opponents/opponent.ts'
import { sluice } from '../opponents/sluice.ts'
import { SteadyProbe } from '../probe.ts'
import { cpuMicros, residentBytes } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { certificateName, freePort, mebibyte, type Site } from '../site.ts'
import { median } from '../statistics.ts'
import { forwarding } from '../work.ts'

const program = fileURLToPath(new URL('../load/attack.ts', import.meta.url))
const mostTimes = 2

export const floods: Scenario = {
  name: 'floods',
  summary:
    'One client attacks over one connection at a time, as fast as it can, while a steady client (500 requests/s, 8 connections) asks as before. Its p99 before and during, what the gateway uses of its core, and what is resident more than before. Attacker and steady client share the core for load.',
  run,
}

/** The attacks of `load/attack.ts`, and which listener they go to. */
const attacks = {
  'rapid reset': 'http',
  CONTINUATION: 'http',
  PING: 'http',
  SETTINGS: 'http',
  'empty DATA': 'http',
  'header bomb': 'http',
  'slow bodies': 'http',
  'TLS handshakes': 'https',
  'TCP connections': 'tcp',
  datagrams: 'udp',
} as const

type Ports = Record<'https' | 'tcp' | 'udp', number>

interface Attack {
  name: string
  /** Milliseconds. */
  before: number
  during: number
  /** Share of the core. */
  busy: number
  /** Bytes. */
  growth: number
}

async function run(bench: Bench): Promise<Section> {
  if (!bench.opponents.includes(sluice)) return section([], ['sluice took no part'])
  const ports = { https: await freePort(), tcp: await freePort(), udp: await freePort() }
  bench.progress('floods: starting sluice')
  const gateway = await startGateway(bench.site, withListeners(ports), forwarding)
  const probe = await SteadyProbe.open(gateway.port, '/api/users/1/orders', 8, 2)
  const seen: Attack[] = []
  const notes: string[] = []
  try {
    await sleep(1000 * bench.options.warmup)
    for (const [name, listener] of Object.entries(attacks)) {
      bench.progress(`floods: ${name}`)
      const port = listener === 'http' ? gateway.port : ports[listener]
      seen.push(await watch(name, port, gateway, probe, bench))
    }
  } catch (error) {
    notes.push((error as Error).message)
  } finally {
    probe.close()
    await gateway.stop()
  }
  return section(seen, notes)
}

async function watch(
  name: string,
  port: number,
  gateway: Gateway,
  probe: SteadyProbe,
  { site, options }: Bench,
): Promise<Attack> {
  const quiet: number[] = []
  const loud: number[] = []
  const look = async (into: number[]) => {
    probe.reset()
    await sleep(1000 * options.seconds)
    into.push(probe.report().p99)
  }
  const resident = residentBytes(gateway.pid)
  let growth = 0
  let busy = 0
  for (let round = 0; round < options.rounds; round++) {
    await look(quiet)
    const attacker = attack(name, port, site)
    await sleep(300)
    const [used, began] = [cpuMicros(gateway.pid), performance.now()]
    await look(loud)
    busy += (cpuMicros(gateway.pid) - used) / (performance.now() - began) / 1000 / options.rounds
    growth = Math.max(growth, residentBytes(gateway.pid) - resident)
    attacker.kill('SIGKILL')
    await once(attacker, 'exit')
    await sleep(500)
  }
  return { name, before: median(quiet), during: median(loud), busy, growth }
}

function attack(name: string, port: number, { cores }: Site): ChildProcess {
  const command = ['-c', cores.load, 'nice', process.execPath, program, name, String(port)]
  const child = spawn('taskset', command, { stdio: 'ignore' })
  process.once('exit', () => child.kill('SIGKILL'))
  return child
}

/** The gateway with a listener of each protocol that is attacked. */
function withListeners({ https, tcp, udp }: Ports): Opponent {
  return {
    ...sluice,
    prepare(assignment) {
      const { folder, port, site } = assignment
      const command = sluice.prepare(assignment)
      const on = (protocol: string, its: number) => ({
        name: protocol,
        host: '127.0.0.1',
        port: its,
        protocol,
      })
      const configuration = join(folder, 'floods')
      mkdirSync(configuration)
      const { certFile, keyFile } = site.certificate
      const nodes = { [`127.0.0.1:${site.upstreamPort}`]: 1 }
      writeFileSync(
        join(configuration, 'sluice.json'),
        JSON.stringify({
          gateway: {
            listeners: [on('http', port), on('https', https), on('tcp', tcp), on('udp', udp)],
            workers: 1,
            limits: { requests_per_connection: 10_000_000 },
            control: { enabled: false },
            metrics: { port: 0 },
            log: { level: 'error' },
          },
          ssls: [
            {
              id: 'bench',
              sni: certificateName,
              cert: readFileSync(certFile, 'utf8'),
              key: readFileSync(keyFile, 'utf8'),
            },
          ],
          routes: [{ id: 'all', uri: '/*', upstream: { nodes } }],
          stream_routes: [
            { id: 'tcp', server_port: tcp, upstream: { scheme: 'tcp', nodes } },
            { id: 'udp', server_port: udp, upstream: { scheme: 'udp', nodes } },
          ],
        }),
      )
      return [...command.slice(0, -1), configuration]
    },
  }
}

function section(seen: readonly Attack[], notes: readonly string[]): Section {
  return {
    name: floods.name,
    summary: floods.summary,
    columns: ['attack', 'p99 before, ms', 'p99 during, ms', 'times', 'busy', 'more resident, MiB'],
    rows: seen.map(({ name, before, during, busy, growth }) => [
      name,
      before.toFixed(2),
      during.toFixed(2),
      (during / before).toFixed(2),
      `${(100 * busy).toFixed(0)} %`,
      (growth / mebibyte).toFixed(1),
    ]),
    notes: [
      ...seen.map(
        ({ name, before, during }) =>
          `${name}: others' p99 must stay within ${mostTimes} times, ${during <= mostTimes * before ? 'met' : 'MISSED'}`,
      ),
      ...notes,
    ],
    data: seen,
  }
}
