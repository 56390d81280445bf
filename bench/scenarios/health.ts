import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Bench, Scenario } from '../bench.ts'
import { type Launched, launch } from '../launch.ts'
import { ownerLine } from '../opponents/nginx.ts'
import { missingProgram } from '../opponents/program.ts'
import { sluice } from '../opponents/sluice.ts'
import { threadMicros } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { freePort } from '../site.ts'
import { type Spread, spread } from '../statistics.ts'

const main = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))

const endpoints = 1000
/** Each with as many endpoints. */
const upstreams = 10
const mustPercent = 2

/** What is probed, and how. */
interface Variant {
  name: string
  /** The endpoints close every connection after its answer. */
  closing: boolean
  active: object
}

const probe = { http_path: '/status', healthy: { interval: 1 }, unhealthy: { interval: 1 } }
const judged: Variant = { name: 'http', closing: false, active: probe }
const variants: readonly Variant[] = [
  judged,
  { name: 'http, endpoints that close each connection', closing: true, active: probe },
  { name: 'tcp', closing: false, active: { ...probe, type: 'tcp' } },
]

export const health: Scenario = {
  name: 'health',
  summary:
    '1 000 endpoints behind 10 upstreams, each probed every second, without any traffic: CPU of the control thread in percent of a core, beyond what it uses without checks. HAProxy, which connects anew for each check, probes the same endpoints.',
  run,
}

async function run(bench: Bench): Promise<Section> {
  if (!bench.opponents.includes(sluice)) return section([], ['sluice took no part'], null)
  const folder = mkdtempSync(join(bench.site.folder, 'health-'))
  const ours = (variant: Variant) =>
    measure(bench, folder, variant.closing, (own, origin) => startGateway(bench, own, origin, variant))
  bench.progress('health: without checks')
  const without = await ours({ name: 'none', closing: false, active: {} })
  const results = new Map<Variant, Spread>()
  for (const variant of variants) {
    bench.progress(`health: ${variant.name}`)
    results.set(variant, await ours(variant))
  }
  const rows = Array.from(results, ([variant, { median, min, max }]) => [
    variant.name,
    (median - without.median).toFixed(2),
    `${median.toFixed(2)} [${min.toFixed(2)}-${max.toFixed(2)}]`,
    variant === judged ? `< ${mustPercent}` : '',
  ])
  const absent = missingProgram('haproxy')
  if (absent === undefined) {
    bench.progress('health: HAProxy')
    const { median, min, max } = await measure(bench, folder, false, (own, origin) =>
      startHaproxy(bench, own, origin),
    )
    rows.push(['http, by HAProxy', '', `${median.toFixed(2)} [${min.toFixed(2)}-${max.toFixed(2)}]`, ''])
  }
  const met = results.get(judged)!.median - without.median < mustPercent
  const notes = [
    `checks over http: ${met ? 'met' : 'MISSED'}`,
    `without checks the thread uses ${without.median.toFixed(2)} %`,
  ]
  return section(rows, notes, {
    without,
    results: Object.fromEntries([...results].map(([{ name }, it]) => [name, it])),
  })
}

async function measure(
  bench: Bench,
  folder: string,
  closing: boolean,
  start: (folder: string, origin: number) => Promise<Launched>,
): Promise<Spread> {
  const port = await freePort()
  const origin = await startOrigin(bench, mkdtempSync(join(folder, 'origin-')), port, closing)
  try {
    const gateway = await start(mkdtempSync(join(folder, 'gateway-')), port)
    try {
      await sleep(1000 * bench.options.warmup)
      const percents: number[] = []
      for (let round = 0; round < bench.options.rounds; round++) {
        const before = threadMicros(gateway.pid)
        const began = performance.now()
        await sleep(1000 * Math.max(3, bench.options.seconds))
        const micros = threadMicros(gateway.pid) - before
        percents.push(micros / 10 / (performance.now() - began))
      }
      return spread(percents)
    } finally {
      await gateway.stop()
    }
  } finally {
    await origin.stop()
  }
}

/** One server that answers on every address of 127.0.0.0/8, each of which is an endpoint of its own. */
function startOrigin(bench: Bench, folder: string, port: number, closing: boolean): Promise<Launched> {
  const path = join(folder, 'nginx.conf')
  writeFileSync(
    path,
    `${ownerLine()}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 10000000;
  keepalive_timeout ${closing ? '0' : '3600s'};
  client_body_temp_path ${folder}/body;
  server { listen 0.0.0.0:${port} backlog=4096; location / { return 200 'ok'; } }
}
`,
  )
  const command = ['nginx', '-p', folder, '-e', 'stderr', '-c', path]
  return launch({ name: 'endpoints', folder, core: bench.site.cores.load, command, port })
}

async function startGateway(
  bench: Bench,
  folder: string,
  origin: number,
  variant: Variant,
): Promise<Launched> {
  const port = await freePort()
  const each = endpoints / upstreams
  const configuration = {
    gateway: {
      listeners: [{ name: 'http', host: '127.0.0.1', port }],
      workers: 1,
      metrics: { enabled: false },
      control: { enabled: false },
      log: { level: 'error' },
    },
    upstreams: Array.from({ length: upstreams }, (_, index) => ({
      id: `upstream-${index}`,
      nodes: Object.fromEntries(
        Array.from({ length: each }, (_, host) => [`127.1.${index}.${host + 1}:${origin}`, 1]),
      ),
      ...(Object.keys(variant.active).length > 0 && { checks: { active: variant.active } }),
    })),
    routes: [{ id: 'all', uri: '/*', upstream_id: 'upstream-0' }],
  }
  mkdirSync(join(folder, 'configuration'))
  const path = join(folder, 'configuration', 'gateway.json')
  writeFileSync(path, JSON.stringify(configuration))
  const command = [process.execPath, ...bench.site.nodeArguments, main, 'start', '-c', path]
  return launch({ name: 'sluice', folder, core: bench.site.cores.gateway, command, port })
}

/** All checks of a gateway of one thread, without any traffic. */
async function startHaproxy(bench: Bench, folder: string, origin: number): Promise<Launched> {
  const port = await freePort()
  const path = join(folder, 'haproxy.cfg')
  const backends = Array.from({ length: upstreams }, (_, index) =>
    [
      `backend upstream-${index}`,
      '  option httpchk GET /status',
      '  default-server check inter 1s',
      ...Array.from(
        { length: endpoints / upstreams },
        (_, host) => `  server s${host} 127.1.${index}.${host + 1}:${origin}`,
      ),
    ].join('\n'),
  )
  writeFileSync(
    path,
    `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout check 1s
  timeout client 60s
  timeout server 60s
frontend traffic
  bind 127.0.0.1:${port}
  default_backend upstream-0
${backends.join('\n')}
`,
  )
  const command = ['haproxy', '-db', '-f', path]
  return launch({ name: 'haproxy', folder, core: bench.site.cores.gateway, command, port })
}

function section(rows: string[][], notes: string[], data: unknown): Section {
  return {
    name: health.name,
    summary: health.summary,
    columns: ['checks', 'CPU % for them', 'CPU % in all', 'must'],
    rows,
    notes,
    data,
  }
}
