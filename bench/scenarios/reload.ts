import { rename, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Scenario } from '../bench.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { renamedPath, routesFile, routesText, sluice } from '../opponents/sluice.ts'
import { type ProbeReport, SteadyProbe } from '../probe.ts'
import { residentBytes } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { mebibyte } from '../site.ts'
import { type Spread, spread } from '../statistics.ts'
import { forwarding, routePath } from '../work.ts'

const count = 100_000
/** Changed in the file; the probe asks for another one. */
const changed = 77_777
const must = { residentMiB: 800, stallMs: 50 }

export const reload: Scenario = {
  name: 'reload',
  summary:
    '100 000 routes in two data threads on both cores. A steady client (500 requests/s, 8 connections) watches while the file is saved with one route changed.',
  run,
}

async function run(bench: Bench): Promise<Section> {
  if (!bench.opponents.includes(sluice)) return section([], ['sluice took no part'], null)
  bench.progress('reload: starting sluice with 100 000 routes')
  const gateway = await startGateway(bench.site, sluice, { ...forwarding, routes: count }, true)
  try {
    return await watch(bench, gateway)
  } finally {
    await gateway.stop()
  }
}

interface Reload extends ProbeReport {
  /** Milliseconds from the saved file to the first answer of the changed route. */
  effective: number
}

async function watch(bench: Bench, gateway: Gateway): Promise<Section> {
  await sleep(1_000)
  const loaded = residentBytes(gateway.pid) / mebibyte
  const probe = await SteadyProbe.open(gateway.port, routePath(0), 8, 2)
  try {
    await sleep(2_000)
    probe.reset()
    bench.progress('reload: watching without a reload')
    await sleep(3_000)
    const quiet = probe.report()
    const reloads: Reload[] = []
    for (let round = 1; round <= (bench.options.quick ? 1 : 6); round++) {
      bench.progress(`reload: reload ${round}`)
      reloads.push(await reloadOnce(gateway, probe, round % 2 === 1))
    }
    const after = residentBytes(gateway.pid) / mebibyte
    return describe(gateway.startup, loaded, after, quiet, reloads)
  } finally {
    probe.close()
  }
}

/** Saves the file with the route at its other path, and waits until it answers there. */
async function reloadOnce(gateway: Gateway, probe: SteadyProbe, renamed: boolean): Promise<Reload> {
  const file = routesFile(gateway.folder)
  const path = renamed ? renamedPath : routePath(changed)
  await writeFile(`${file}.new`, routesText({ ...forwarding, routes: count }, renamed ? changed : -1))
  await sleep(500)

  probe.reset()
  const saved = performance.now()
  await rename(`${file}.new`, file)
  while ((await status(gateway.port, path)) !== 200) {
    if (performance.now() - saved > 60_000)
      throw new Error('the changed route was not served within a minute')
    await sleep(5)
  }
  const effective = performance.now() - saved
  await sleep(1_000)
  return { ...probe.report(), effective }
}

function status(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, path, host: '127.0.0.1' }, (incoming) => {
      incoming.resume().once('end', () => resolve(incoming.statusCode ?? 0))
    })
    outgoing.once('error', reject).end()
  })
}

function describe(
  startup: number,
  loaded: number,
  after: number,
  quiet: ProbeReport,
  reloads: readonly Reload[],
): Section {
  const stall = spread(reloads.map((it) => it.longestWait))
  const effective = spread(reloads.map((it) => it.effective))
  const lateness = spread(reloads.map((it) => it.lateness))
  const rows = [
    ['start to first answer, ms', startup.toFixed(0), ''],
    ['RSS when loaded, MiB', loaded.toFixed(0), `< ${must.residentMiB}`],
    ['RSS after the reloads, MiB', after.toFixed(0), ''],
    ['saved to served, ms', figures(effective), ''],
    ['longest wait during a reload, ms', figures(stall), `< ${must.stallMs}`],
    ['longest wait without a reload, ms', quiet.longestWait.toFixed(1), ''],
    ['lateness of the watching client, ms', figures(lateness), ''],
  ]
  const notes = [
    `RSS when loaded: ${loaded < must.residentMiB ? 'met' : 'MISSED'}`,
    `longest wait during a reload: ${stall.max < must.stallMs ? 'met' : 'MISSED'}`,
  ]
  if (Math.max(lateness.max, quiet.lateness) > must.stallMs / 2)
    notes.push('the machine was not quiet: the client itself woke late, so its waits say little')
  return section(rows, notes, { startup, loaded, after, quiet, reloads })
}

function section(rows: string[][], notes: string[], data: unknown): Section {
  return {
    name: reload.name,
    summary: reload.summary,
    columns: ['figure', 'sluice', 'must'],
    rows,
    notes,
    data,
  }
}

function figures({ median, min, max }: Spread): string {
  return `${median.toFixed(1)} [${min.toFixed(1)}-${max.toFixed(1)}]`
}
