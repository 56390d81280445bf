import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Bench, Scenario } from '../bench.ts'
import { type Launched, launch } from '../launch.ts'
import { sluice } from '../opponents/sluice.ts'
import { type ProbeReport, SteadyProbe } from '../probe.ts'
import { residentBytes } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { freePort, mebibyte } from '../site.ts'
import { type WriterReport, Writers } from '../writers.ts'

const main = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))

const routes = 10_000
const changes = 10_000
const rate = 1_000
const key = 'key-of-the-bench-of-the-admin-api'
const must = { rate, p99: 2, growthMiB: 16 }

export const admin: Scenario = {
  name: 'admin',
  summary:
    '10 000 routes through the Admin API, kept in SQLite, two data threads on both cores. 32 connections replace 1 000 of them in a second, each change durable and in all threads before its answer, while a steady client (500 requests/s, 8 connections) watches.',
  run,
}

async function run(bench: Bench): Promise<Section> {
  if (!bench.opponents.includes(sluice)) return section([], ['sluice took no part'], null)
  const folder = mkdtempSync(join(bench.site.folder, 'admin-'))
  const [port, adminPort] = [await freePort(), await freePort()]
  const gateway = await startGateway(bench, folder, port, adminPort)
  try {
    await fill(adminPort, bench.site.upstreamPort)
    return await watch(bench, gateway, port, adminPort)
  } finally {
    await gateway.stop()
  }
}

interface Figures {
  quiet: ProbeReport
  under: ProbeReport
  steady: WriterReport
  fastest: WriterReport
  /** MiB resident: when it has warmed up, and after as many changes again. */
  before: number
  after: number
}

async function watch(bench: Bench, gateway: Launched, port: number, adminPort: number): Promise<Section> {
  const probe = await SteadyProbe.open(port, '/r/1', 8, 2)
  try {
    bench.progress('admin: warming up')
    await change(adminPort, bench.options.quick ? 3_000 : changes, 0)
    bench.progress('admin: watching without changes')
    await sleep(2_000)
    const before = residentBytes(gateway.pid) / mebibyte
    probe.reset()
    await sleep(bench.options.quick ? 3_000 : 10_000)
    const quiet = probe.report()
    bench.progress('admin: 1 000 changes a second')
    probe.reset()
    const steady = await change(adminPort, bench.options.quick ? 3_000 : changes, rate)
    const under = probe.report()
    await sleep(5_000)
    const after = residentBytes(gateway.pid) / mebibyte
    bench.progress('admin: as many as it takes')
    const fastest = await change(adminPort, changes, 0)
    return describe({ quiet, under, steady, fastest, before, after })
  } finally {
    probe.close()
  }
}

/** Over connections of its own: the gateway closes those that are idle for long. */
async function change(adminPort: number, count: number, rate: number): Promise<WriterReport> {
  const writers = await Writers.open(adminPort, 32, requestOf)
  try {
    return await writers.write(count, rate)
  } finally {
    writers.close()
  }
}

/** A route of the configuration with another text in it. */
function requestOf(number: number): string {
  const index = number % routes
  return request('PUT', `/routes/r${index}`, {
    ...routeOf(index),
    desc: `change ${number} at ${performance.now()}`,
  })
}

const routeOf = (index: number) => ({ uri: `/r/${index}`, upstream_id: 'u', plugins: { cors: {} } })

function request(method: string, path: string, body: object): string {
  const text = JSON.stringify(body)
  return `${method} /apisix/admin${path} HTTP/1.1\r\nHost: bench\r\nX-API-KEY: ${key}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

async function fill(adminPort: number, upstreamPort: number): Promise<void> {
  const document = {
    upstreams: [{ id: 'u', nodes: { [`127.0.0.1:${upstreamPort}`]: 1 } }],
    routes: Array.from({ length: routes }, (_, index) => ({ id: `r${index}`, ...routeOf(index) })),
  }
  // The listener of the Admin API opens after those of traffic.
  while (!(await isOpen(adminPort))) await sleep(10)
  const response = await fetch(`http://127.0.0.1:${adminPort}/apisix/admin/configs`, {
    method: 'PUT',
    headers: { 'X-API-KEY': key, 'X-Digest': 'bench' },
    body: JSON.stringify(document),
  })
  if (response.status !== 202) throw new Error(`the routes were not taken: ${await response.text()}`)
}

const isOpen = (adminPort: number) =>
  fetch(`http://127.0.0.1:${adminPort}/apisix/admin`, { method: 'HEAD' }).then(
    () => true,
    () => false,
  )

function startGateway(bench: Bench, folder: string, port: number, adminPort: number): Promise<Launched> {
  const settings = {
    listeners: [{ name: 'http', host: '127.0.0.1', port }],
    workers: 2,
    limits: { requests_per_connection: 10_000_000 },
    control: { enabled: false },
    metrics: { enabled: false },
    admin: { port: adminPort, keys: [{ name: 'bench', key }] },
    data_dir: join(folder, 'data'),
    log: { level: 'warn' },
  }
  mkdirSync(join(folder, 'configuration'))
  const path = join(folder, 'configuration', 'gateway.json')
  writeFileSync(path, JSON.stringify({ gateway: settings }))
  const { cores, nodeArguments } = bench.site
  const command = [process.execPath, ...nodeArguments, main, 'start', '-c', path]
  return launch({ name: 'sluice', folder, core: `${cores.gateway},${cores.load}`, command, port })
}

function describe(figures: Figures): Section {
  const { quiet, under, steady, fastest, before, after } = figures
  const ratio = under.p99 / quiet.p99
  const growth = after - before
  const met = (isMet: boolean) => (isMet ? 'met' : 'MISSED')
  const rows = [
    ['changes a second, offered 1 000', steady.rate.toFixed(0), `${must.rate}`],
    ['changes a second, as many as it takes', fastest.rate.toFixed(0), ''],
    [
      'p50 / p99 of a change at 1 000 a second, ms',
      `${steady.p50.toFixed(1)} / ${steady.p99.toFixed(1)}`,
      '',
    ],
    ['p99 of traffic without changes, ms', quiet.p99.toFixed(2), ''],
    [
      'p99 of traffic with 1 000 changes a second, ms',
      `${under.p99.toFixed(2)} (x ${ratio.toFixed(2)})`,
      `< x ${must.p99}`,
    ],
    [
      'longest wait of traffic without / with, ms',
      `${quiet.longestWait.toFixed(1)} / ${under.longestWait.toFixed(1)}`,
      '',
    ],
    ['RSS before the changes, MiB', before.toFixed(0), ''],
    [
      'RSS after 10 000 changes, MiB',
      `${after.toFixed(0)} (${growth < 0 ? '' : '+'}${growth.toFixed(0)})`,
      `< +${must.growthMiB}`,
    ],
    [
      'lateness of the client without / with, ms',
      `${quiet.lateness.toFixed(1)} / ${under.lateness.toFixed(1)}`,
      '',
    ],
  ]
  const notes = [
    // A client that waits for a tick of its clock is a little late with the last of them.
    `changes a second: ${met(steady.rate > 0.99 * must.rate)}`,
    `p99 of traffic: ${met(ratio < must.p99)}`,
    `memory: ${met(growth < must.growthMiB)}`,
  ]
  if (steady.refused + fastest.refused > 0)
    notes.push(`${steady.refused + fastest.refused} changes were REFUSED`)
  return section(rows, notes, figures)
}

function section(rows: string[][], notes: string[], data: unknown): Section {
  return {
    name: admin.name,
    summary: admin.summary,
    columns: ['figure', 'sluice', 'must'],
    rows,
    notes,
    data,
  }
}
