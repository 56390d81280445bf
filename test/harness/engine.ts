/** The proxy of one data thread in the test's own process, with handlers that the test writes in place of policies. */
import { diffPlans } from '../../src/config/diff.ts'
import type { PolicyFactory, PolicyHandlers, Stage } from '../../src/proxy/exchange.ts'
import { ConnectionCounts, createConnectionTable } from '../../src/proxy/shared/connections.ts'
import { createLoadTable, LoadTable } from '../../src/proxy/shared/load-table.ts'
import { HealthRegister } from '../../src/proxy/upstream/health/health-register.ts'
import { createHealthTable } from '../../src/proxy/upstream/health/table.ts'
import { Worker } from '../../src/proxy/worker.ts'
import { createEngineCounterMemory, EngineCounters } from '../../src/telemetry/engine-counters.ts'
import { planOf } from '../threads/plan.ts'

export interface EngineOptions {
  /** Settings beside the listener, as YAML below `gateway:`. */
  settings?: string
  upstreamPort: number
  /** Of the listener; default true. */
  http2?: boolean
  /** What else its listener says, as YAML in a flow mapping. */
  listener?: string
  /** What else the upstream says of itself, as YAML in a flow mapping. */
  upstream?: string
  /** Run for every request, in this order. */
  policies: readonly (PolicyHandlers & { stage?: Stage })[]
}

export interface RunningEngine {
  port: number
  /** What policies failed with. */
  readonly failures: string[]
  readonly counts: EngineCounters
  drain(): Promise<void>
  close(): void
}

/** One route for everything. */
export async function startEngine({
  settings = '',
  upstreamPort,
  http2 = true,
  listener = '',
  upstream = '',
  policies,
}: EngineOptions): Promise<RunningEngine> {
  const plan = planOf(`
gateway:
  listeners: [{ name: http, host: 127.0.0.1, port: 0, http2: ${http2}, ${listener} }]
  ${settings}
upstreams: [{ id: u, nodes: { "127.0.0.1:${upstreamPort}": 1 }, ${upstream} }]
routes: [{ id: r, uri: /*, upstream_id: u, enable_websocket: true }]
`)
  const failures: string[] = []
  const factories = new Map<string, PolicyFactory>()
  const plugins: Record<string, object> = {}
  for (const [index, { stage = 'transform', ...handlers }] of policies.entries()) {
    const name = `policy-${index}`
    factories.set(name, { name, stage, priority: -index, yieldsToRoute: false, create: () => handlers })
    plugins[name] = {}
  }
  Object.assign(plan.routes.get('r')!, { plugins })
  const counts = new EngineCounters(createEngineCounterMemory())
  const worker = new Worker({
    settings: plan.settings,
    policies: factories,
    connections: new ConnectionCounts(createConnectionTable(1), 1),
    loads: new LoadTable(createLoadTable(1), 1),
    health: new HealthRegister(createHealthTable(16)),
    counts,
    log: { warn() {}, error: (fields) => failures.push(JSON.stringify(fields)) },
  })
  worker.apply(diffPlans(null, plan))
  const [opened] = await worker.listen()
  return { port: opened!.port, failures, counts, drain: () => worker.drain(), close: () => worker.close() }
}
