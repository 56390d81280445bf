/**
 * A data thread without an engine: a connection is answered with a line that says who answers and which plan it runs.
 * Routes with telling names make it misbehave.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort } from 'node:worker_threads'
import { applyInPlace } from '../../src/config/diff.ts'
import type { PlanDelta } from '../../src/config/plan.ts'
import { ConnectionCounts } from '../../src/proxy/shared/connections.ts'
import type { ThreadStart, ToControlThread, ToDataThread } from '../../src/proxy/thread-protocol.ts'
import { EngineCounters, engineCounter } from '../../src/telemetry/engine-counters.ts'
import { Registry } from '../../src/telemetry/metrics.ts'
import { copyOf, planOf } from './plan.ts'

const [{ start }]: [{ start: ThreadStart }] = (await once(parentPort!, 'message')) as never
const { threadId, memory } = start
const connections = new ConnectionCounts(memory.connections, threadId)
const counters = new EngineCounters(memory.counters)
const post = (message: ToControlThread) => parentPort!.postMessage(message)
const registry = new Registry(memory.metrics, (announcement) => post({ type: 'announce', announcement }))
const answers = registry.counter('stub_answers', 'Answers of the stub.', ['kind'])
const addresses = new Map(start.addresses)
const nodes = new Map(start.nodes)
const slots = new Map(start.health.map(({ upstream, slot }) => [upstream, slot]))
/** What there was to know of health when the plan came. */
let slotsOfPlan = [...slots]
let plan = planOf('gateway: {}')
applyInPlace(plan, start.delta)
let open = 0

const server = createServer((socket) => {
  open++
  connections.open(1000)
  counters.add(engineCounter.requests, 1)
  answers.add(answers.slot(['line']), 1)
  const state = {
    threadId,
    version: plan.version,
    routes: [...plan.routes.keys()],
    bodyLimit: plan.settings.limits.body,
    addresses: Object.fromEntries(addresses),
    nodes: [...nodes.values()].flat().map(({ host }) => host),
    slots: slotsOfPlan,
  }
  socket.on('error', () => {})
  socket.on('close', () => {
    open--
    connections.close()
  })
  if (plan.routes.has('hold')) return
  socket.end(`${JSON.stringify(state)}\n`)
})

function apply(delta: PlanDelta): void {
  const next = copyOf(plan)
  applyInPlace(next, delta)
  if (next.routes.has(`refused-by-${threadId}`)) throw new Error('this plan cannot be compiled')
  if (next.routes.has(`mute-and-die-in-${threadId}`)) process.exit(3)
  plan = next
  slotsOfPlan = [...slots]
  crashSoonIfToldTo()
}

function crashSoonIfToldTo(): void {
  if (plan.routes.has(`crash-in-${threadId}`)) setImmediate(() => crash())
}

/** With all that a thread may hold: connections and the lock of a bucket. */
function crash(): never {
  for (let i = 0; i < 5; i++) connections.open(1000)
  Atomics.store(new Int32Array(memory.limits), 16, threadId)
  throw new Error('the stub crashed')
}

async function listen(ports: ReadonlyMap<string, number>): Promise<void> {
  const { name, host, port } = plan.settings.listeners[0]!
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen({ host, port: ports.get(name) ?? port, reusePort: true }, resolve)
  await promise
  post({ type: 'listening', ports: new Map([[name, (server.address() as { port: number }).port]]) })
}

async function drain(): Promise<void> {
  server.close()
  const end = Date.now() + plan.settings.timeouts.drain
  while (open > 0 && Date.now() < end) await delay(5)
  post({ type: 'lines', lines: `last line of ${threadId}\n`, count: 1 })
  post({ type: 'drained' })
}

parentPort!.on('message', (message: ToDataThread) => {
  switch (message.type) {
    case 'plan':
      try {
        apply(message.delta)
        post({ type: 'applied', version: message.delta.version })
      } catch (error) {
        post({ type: 'refused', version: message.delta.version, message: (error as Error).message })
      }
      break
    case 'health':
      slots.set(message.slots.upstream, message.slots.slot)
      break
    case 'addresses':
      addresses.set(message.host, message.addresses)
      break
    case 'nodes':
      if (message.nodes === null) nodes.delete(message.service)
      else nodes.set(message.service, message.nodes)
      break
    case 'listen':
      listen(message.ports ?? new Map()).catch((error) =>
        post({ type: 'listen-failed', message: error.message }),
      )
      break
    case 'drain':
      drain()
      break
    case 'ask':
      if (plan.routes.has(`dies-of-questions-in-${threadId}`)) process.exit(4)
      if (plan.routes.has('knows-nothing'))
        post({ type: 'no-answer', id: message.id, message: 'I do not know' })
      else post({ type: 'answer', id: message.id, answer: { balancers: threadId } })
      break
    case 'reopen-logs':
      post({ type: 'log', level: 'info', fields: { thread: threadId }, message: 'reopened' })
  }
})

if (plan.routes.has('refused-at-start')) {
  post({ type: 'refused', version: plan.version, message: 'this plan cannot be compiled' })
} else {
  post({ type: 'applied', version: plan.version })
  crashSoonIfToldTo()
}
