/** The proxy of one data thread in the test's own process, with TCP and UDP listeners, and both ends of its sessions. */
import { once } from 'node:events'
import net from 'node:net'
import { diffPlans } from '../../src/config/diff.ts'
import type { Exchange, PolicyFactory, PolicyHandlers } from '../../src/proxy/exchange.ts'
import {
  ConnectionCounts,
  createConnectionTable,
  openConnections,
} from '../../src/proxy/shared/connections.ts'
import { createLoadTable, LoadTable } from '../../src/proxy/shared/load-table.ts'
import { HealthRegister } from '../../src/proxy/upstream/health/health-register.ts'
import { createHealthTable } from '../../src/proxy/upstream/health/table.ts'
import { Worker } from '../../src/proxy/worker.ts'
import { createEngineCounterMemory, EngineCounters } from '../../src/telemetry/engine-counters.ts'
import { planOf } from '../threads/plan.ts'

export interface StreamEngine {
  worker: Worker
  /** By listener name. */
  ports: Record<string, number>
  /** Sessions that are over, in the order of their ends. */
  sessions: Exchange[]
  warnings: object[]
  counters: EngineCounters
  /** Client connections that are counted. */
  open(): number
  /** Puts another configuration to work, and opens and closes listeners. */
  change(yaml: string): Promise<void>
  close(): void
}

/**
 * @param yaml the whole configuration
 * @param policy runs on every stream route
 */
export async function startStreams(
  yaml: string,
  policy: Pick<PolicyHandlers, 'request'> = {},
): Promise<StreamEngine> {
  const sessions: Exchange[] = []
  const warnings: object[] = []
  const probe = { ...policy, observe: (exchange: Exchange) => void sessions.push(exchange) }
  const factories = new Map<string, PolicyFactory>([
    [
      'probe',
      {
        name: 'probe',
        stage: 'limit',
        priority: 0,
        yieldsToRoute: false,
        create: () => ({}),
        stream: { priority: 0, create: () => probe },
      },
    ],
  ])
  let plan = withProbe(yaml)
  const counters = new EngineCounters(createEngineCounterMemory())
  const connections = createConnectionTable(1)
  const worker = new Worker({
    settings: plan.settings,
    policies: factories,
    connections: new ConnectionCounts(connections, 1),
    loads: new LoadTable(createLoadTable(1), 1),
    health: new HealthRegister(createHealthTable(16)),
    counts: counters,
    log: { warn: (fields) => void warnings.push(fields), error: (fields) => void warnings.push(fields) },
  })
  worker.apply(diffPlans(null, plan))
  const engine: StreamEngine = {
    worker,
    ports: {},
    sessions,
    warnings,
    counters,
    open: () => openConnections(connections),
    async change(next) {
      const before = plan
      plan = withProbe(next)
      worker.apply(diffPlans(before, plan))
      await listen()
    },
    close: () => worker.close(),
  }
  async function listen() {
    const opened = await worker.listen(new Map(Object.entries(engine.ports)))
    engine.ports = Object.fromEntries(opened.map(({ name, port }) => [name, port]))
  }
  await listen()
  return engine
}

function withProbe(yaml: string) {
  const plan = planOf(yaml)
  for (const route of plan.stream_routes.values()) Object.assign(route, { plugins: { probe: {} } })
  return plan
}

/** A server for one test, on a port of its own. */
export async function tcpServer(
  onConnection: (socket: net.Socket) => void,
  options: net.ServerOpts = { allowHalfOpen: true },
): Promise<{ port: number; sockets: net.Socket[]; close(): void }> {
  const sockets: net.Socket[] = []
  const server = net.createServer(options, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return {
    port,
    sockets,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Sends what there is to send, ends its half, and waits for the end of the other: one character a byte. */
export function talk(port: number, text: string | Buffer, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host, allowHalfOpen: true })
    let answer = ''
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1')
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(answer))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    if (typeof text === 'string') socket.end(text, 'latin1')
    else socket.end(text)
  })
}

/** Calls until it is true: what it asks for comes about by events that nobody announces. */
export async function eventually(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error('it did not come about')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
