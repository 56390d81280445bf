/** Where a data thread comes together: the engine, the catalogue of policies, and what it shares with other threads. */
import { createRequire } from 'node:module'
import { hostname } from 'node:os'
import { extname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parentPort } from 'node:worker_threads'
import { DerivedMap } from './config/lazy-map.ts'
import type { PlanDelta } from './config/plan.ts'
import type { FunctionModule, PolicyModule } from './config/settings.ts'
import type { TracingSettings } from './config/tracing-settings.ts'
import { collectGarbage } from './garbage.ts'
import { OwnCodeGuard } from './own-code-guard.ts'
import { catalogue } from './policies/index.ts'
import type { OwnFunction } from './policies/kit/functions/own-function.ts'
import { CounterStores } from './policies/kit/limits/counter-stores.ts'
import { Batches } from './policies/kit/logging/batch-processor.ts'
import type { AnyPolicy } from './policies/kit/policy.ts'
import { PolicyCalls } from './policy-calls.ts'
import { dryServices } from './policy-dry-run.ts'
import { PolicyResources } from './policy-resources.ts'
import { buildPolicies, type PolicyServices, publicApisOf, ResourceIndices } from './policy-runtime.ts'
import type { CauseCounter } from './proxy/cause.ts'
import { clock } from './proxy/clock.ts'
import { Delays } from './proxy/delays.ts'
import type { Exchange, PolicyFactory, Verdict } from './proxy/exchange.ts'
import { compileCondition } from './proxy/expression.ts'
import { RunTimeState, sharedState } from './proxy/run-time-state.ts'
import { CacheZones } from './proxy/shared/cache-zones.ts'
import { Circuits } from './proxy/shared/circuits.ts'
import { sharedTime } from './proxy/shared/clock.ts'
import { ConnectionCounts } from './proxy/shared/connections.ts'
import { Limiter, type LimitKey } from './proxy/shared/limiter.ts'
import { LoadTable } from './proxy/shared/load-table.ts'
import { Presences } from './proxy/shared/presences.ts'
import { TurnCounters } from './proxy/shared/turn-counters.ts'
import { WatchSlot } from './proxy/shared/watch-slot.ts'
import { SharedMetrics } from './proxy/shared-metrics.ts'
import type {
  Answers,
  Ports,
  QuestionName,
  Questions,
  ThreadStart,
  ToControlThread,
  ToDataThread,
} from './proxy/thread-protocol.ts'
import type { DiscoveredNode } from './proxy/upstream/discovery/discovered-node.ts'
import { HealthRegister } from './proxy/upstream/health/health-register.ts'
import type { UpstreamSlots } from './proxy/upstream/health/slots.ts'
import { compileTemplate, compileVariable } from './proxy/variables.ts'
import { watchInterval } from './proxy/watchdog.ts'
import { Worker } from './proxy/worker.ts'
import { publicApiAt } from './public-apis.ts'
import { EngineCounters } from './telemetry/engine-counters.ts'
import type { MetricsText } from './telemetry/exposition.ts'
import { LineSinks } from './telemetry/line-sinks.ts'
import { Registry } from './telemetry/metrics.ts'
import { ThreadPulse } from './telemetry/thread-gauges.ts'
import { ThreadLog } from './telemetry/thread-log.ts'
import { version } from './version.ts'

/** Causes are few: each has its slot from its first time on. */
function causeCounter(metrics: Registry): CauseCounter {
  const help = 'Answers of the gateway itself, by who caused them, and why.'
  const counter = metrics.counter('sluice_own_answers_total', help, ['source', 'code'])
  const slots = new Map<string, number>()
  return ({ source, code }) => {
    let slot = slots.get(code)
    if (slot === undefined) {
      slot = counter.slot([source, code])
      slots.set(code, slot)
    }
    counter.add(slot, 1)
  }
}

/** Limits are decided at the time of the event that a request is in, which every event reads once. */
function limiterOf(limiter: Limiter, presences: Presences): PolicyServices['limiter'] {
  return {
    key: (text) => limiter.key(text),
    acquire: (key, windows, cost, out) => limiter.acquire(key as LimitKey, windows, cost, out, clock.now),
    slide: (key, window, cost, out) => limiter.slide(key, window, cost, out, clock.now),
    leak: (key, bucket, cost) => limiter.leak(key, bucket, cost, clock.now),
    enter: (key, limit) => presences.enter(key, limit),
  }
}

function circuitsOf(circuits: Circuits): PolicyServices['circuits'] {
  return {
    isBroken: (key, rule) => circuits.isBroken(key, rule, sharedSecond()),
    failed: (key, rule) => circuits.failed(key, rule, sharedSecond()),
    succeeded: (key, rule) => circuits.succeeded(key, rule),
  }
}

const sharedSecond = () => Math.floor(sharedTime(clock.now) / 1000)
/** Milliseconds that log servers have to take what is left when the thread ends. */
const lastWordsMs = 3000

/** What an operator wrote. */
interface OwnCode {
  policies: ReadonlyMap<string, AnyPolicy>
  functions: ReadonlyMap<string, OwnFunction>
}

// Loaded with the first plan that asks for it, which is put to work in one go.
const require = createRequire(import.meta.url)
const tracerModule = `./policies/kit/tracing/gateway-tracer${extname(import.meta.url)}`

class DataThread {
  readonly #post: (message: ToControlThread) => void
  readonly #log: ThreadLog
  readonly #sinks: LineSinks
  readonly #counterStores: CounterStores
  readonly #batches: Batches
  readonly #resources = new PolicyResources()
  readonly #worker: Worker
  readonly #pulse: ThreadPulse
  readonly #state = new RunTimeState()
  readonly #answers: Answers = {
    'state-counts': () => this.#state.counts(),
    'clear-state': (cleared) => this.#state.clear(cleared),
    explain: (description) => this.#worker.explain(description, this.#dryPolicies, this.#version),
    'collect-garbage': collectGarbage,
  }
  readonly #sharedMetrics = new SharedMetrics(() => this.#post({ type: 'want-metrics' }))
  readonly #publicApi: PolicyServices['publicApi']
  readonly #dryPolicies: ReadonlyMap<string, PolicyFactory>
  /** That the plan in use names. */
  #functions: ReadonlyMap<string, OwnFunction> = new Map()
  readonly #slot: WatchSlot
  readonly #beating: NodeJS.Timeout
  #version = 0
  #httpsPort: number
  #unsettledMs: number
  #tracing: TracingSettings | null = null

  constructor(
    { threadId, settings, memory, ticketSecret }: ThreadStart,
    post: (message: ToControlThread) => void,
  ) {
    this.#post = post
    this.#httpsPort = settings.https_port
    this.#unsettledMs = settings.watchdog.unsettled
    this.#log = new ThreadLog(threadId, settings.log.level, post)
    const metrics = new Registry(memory.metrics, (announcement) => post({ type: 'announce', announcement }))
    const stdout = {
      write: async (lines: Buffer, count: number) => post({ type: 'lines', lines: lines.toString(), count }),
      reopen: async () => {},
      close: async () => {},
    }
    this.#sinks = new LineSinks({ stdout, metrics, log: this.#log })
    this.#counterStores = new CounterStores(this.#log)
    const turns = new TurnCounters(memory.turns, threadId)
    const calls = new PolicyCalls(metrics)
    const caches = new CacheZones(memory.caches, settings, threadId, this.#log)
    this.#batches = new Batches(metrics, this.#log)
    const slot = new WatchSlot(memory.watch, (label, name) => post({ type: 'label', label, name }))
    this.#slot = slot
    this.#beating = setInterval(() => slot.beat(), watchInterval).unref()
    const services: PolicyServices = {
      limiter: limiterOf(new Limiter(memory.limits, threadId), new Presences(memory.presences, threadId)),
      circuits: circuitsOf(new Circuits(memory.circuits, threadId)),
      takeTurn: (name) => turns.take(name, sharedSecond()),
      lookAtTurn: (name) => turns.look(name),
      delays: new Delays(),
      counterStore: (target, use) => this.#counterStores.open(target, use),
      valueStore: (target) => this.#counterStores.openValues(target),
      cache: (zone, owner) => {
        const store = caches.open(zone, owner)
        return store && { store, ttl: caches.ttl }
      },
      metrics,
      prometheus: settings.prometheus,
      publicApi: (path) => this.#publicApi(path),
      configOf: (policy, routeId) => this.#worker.configOf(policy, routeId),
      subrequest: (exchange, head) => this.#worker.subrequest(exchange, head),
      guard: new OwnCodeGuard(
        slot,
        (policy, error) =>
          this.#log.error({ policy, error: String(error) }, 'policy failed after it was asked'),
        () => this.#unsettledMs,
      ),
      isOwn: (policy) => catalogue.others.get(policy.name) === policy,
      ownFunction: (key) => this.#functions.get(key),
      calls: (binding, options) => calls.open(binding, options),
      mayAsk: true,
      batches: this.#batches,
      gateway: { hostname: hostname(), version },
      lines: (target) => this.#sinks.open(target),
      variable: compileVariable,
      template: compileTemplate,
      condition: compileCondition,
      httpsPort: () => this.#httpsPort,
      log: this.#log,
      consumers: () => this.#resources.consumers(),
      contracts: () => this.#resources.contracts(),
      proto: (id) => this.#resources.proto(id),
      metadata: (policy) => this.#resources.metadata(policy),
      hasUpstream: (key) => this.#worker.hasUpstream(key),
      isUpstreamUp: (key) => this.#worker.isUpstreamUp(key),
      upstreamOrigin: (key) => this.#worker.upstreamOrigin(key),
      now: Date.now,
      onResourcesChanged: (listener) => this.#resources.onChanged(listener),
    }
    const indices = new ResourceIndices(services)
    const policies = buildPolicies(catalogue, services, indices)
    const publicApis = new DerivedMap(catalogue, (policy) => publicApisOf(policy, services, indices))
    this.#publicApi = (path) => {
      const owner = publicApiAt(path, settings)
      if (owner === undefined) return undefined
      if (owner === 'metrics') return (exchange) => this.#showMetrics(exchange)
      if (owner === 'node-status') return (exchange) => this.#showStatus(exchange)
      return publicApis.get(owner)!(path)
    }
    this.#dryPolicies = buildPolicies(catalogue, dryServices(services), indices)
    this.#worker = new Worker({
      settings,
      policies,
      connections: new ConnectionCounts(memory.connections, threadId),
      loads: new LoadTable(memory.loads, threadId),
      counts: new EngineCounters(memory.counters),
      health: new HealthRegister(memory.health),
      log: this.#log,
      answered: causeCounter(metrics),
      ticketSecret,
    })
    this.#pulse = new ThreadPulse(memory.gauges)
    this.#state.add(
      sharedState(
        'metrics',
        () => metrics.seriesCount,
        () => metrics.clear(),
      ),
    )
    this.#state.add(this.#worker.balancerState)
    this.#trace(settings.tracing)
  }

  setMetrics(text: MetricsText | undefined): void {
    this.#sharedMetrics.answer(text)
  }

  async #showMetrics({ request }: Exchange): Promise<Verdict> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 404 }
    const metrics = await this.#sharedMetrics.text()
    if (metrics === undefined) return { status: 503 }
    return { status: 200, body: metrics.text, contentType: metrics.contentType }
  }

  /** As APISIX's `node-status` writes it: numbers are texts. */
  async #showStatus({ request }: Exchange): Promise<Verdict> {
    if (request.method !== 'GET') return { status: 404 }
    const metrics = await this.#sharedMetrics.text()
    if (metrics === undefined) return { status: 503 }
    const { id, connections, requests } = metrics.status
    const counts = Object.entries({ ...connections, total: requests })
    const status = Object.fromEntries(counts.map(([name, count]) => [name, String(count)]))
    return { status: 200, body: JSON.stringify({ id, status }) }
  }

  async ask(id: number, name: QuestionName, question: Questions[QuestionName]['question']): Promise<void> {
    try {
      const answering = this.#answers[name] as (question: unknown) => Questions[QuestionName]['answer']
      const answer = await answering(question)
      this.#post({ type: 'answer', id, answer })
    } catch (error) {
      this.#post({ type: 'no-answer', id, message: (error as Error).message })
    }
  }

  /** In one go between two requests: all of it, or nothing. */
  apply(delta: PlanDelta, code?: OwnCode): void {
    const { version } = delta
    const before = { policies: catalogue.others, functions: this.#functions }
    if (code !== undefined) this.#useCode(code)
    try {
      this.#resources.change(delta, () => this.#worker.apply(delta, code !== undefined))
    } catch (error) {
      this.#useCode(before)
      this.#post({ type: 'refused', version, message: (error as Error).message })
      return
    }
    if (delta.settings !== undefined) {
      this.#log.level = delta.settings.log.level
      this.#httpsPort = delta.settings.https_port
      this.#unsettledMs = delta.settings.watchdog.unsettled
      this.#trace(delta.settings.tracing)
    }
    if (code !== undefined) this.#slot.retain((name) => this.#runs(name))
    this.#version = version
    this.#slot.beat()
    this.#post({ type: 'applied', version })
  }

  /** Spans that wait already go where they were meant to. */
  #trace(settings: TracingSettings | null): void {
    if (isDeepStrictEqual(settings, this.#tracing)) return
    this.#tracing = settings
    if (settings === null) {
      this.#worker.follow(null)
      return
    }
    const { gatewayTracer } = require(
      tracerModule,
    ) as typeof import('./policies/kit/tracing/gateway-tracer.ts')
    this.#worker.follow(gatewayTracer(settings, this.#batches, version))
  }

  /** Whether the operator's code of that name is part of the plan in use. */
  #runs(name: string): boolean {
    const space = name.indexOf(' ')
    return space === -1 ? catalogue.others.has(name) : this.#functions.has(name.slice(space + 1))
  }

  #useCode({ policies, functions }: OwnCode): void {
    catalogue.others = policies
    this.#functions = functions
  }

  setSlots(slots: UpstreamSlots): void {
    this.#worker.setSlots(slots)
  }

  setAddresses(host: string, addresses: readonly string[]): void {
    this.#worker.setAddresses(host, addresses)
  }

  setNodes(service: string, nodes: readonly DiscoveredNode[] | null): void {
    this.#worker.setNodes(service, nodes)
  }

  async listen(chosen?: Ports): Promise<void> {
    try {
      const opened = await this.#worker.listen(chosen)
      this.#post({ type: 'listening', ports: new Map(opened.map(({ name, port }) => [name, port])) })
    } catch (error) {
      this.#post({ type: 'listen-failed', message: (error as Error).message })
    }
  }

  pause(): void {
    this.#worker.pause()
    this.#post({ type: 'paused' })
  }

  async reopenLogs(): Promise<void> {
    await this.#sinks.reopen()
  }

  async drain(): Promise<void> {
    await this.#worker.drain()
    await this.#counterStores.sync()
    this.#pulse.stop()
    clearInterval(this.#beating)
    await Promise.all([this.#sinks.close(), this.#batches.close(lastWordsMs)])
    this.#post({ type: 'drained' })
  }
}

const port = parentPort!
let thread: DataThread | undefined

function begin(start: ThreadStart, code?: OwnCode): DataThread {
  const begun = new DataThread(start, (message) => port.postMessage(message))
  for (const [host, addresses] of start.addresses) begun.setAddresses(host, addresses)
  for (const [service, nodes] of start.nodes) begun.setNodes(service, nodes)
  for (const slots of start.health) begun.setSlots(slots)
  begun.apply(start.delta, code)
  return begun
}

/** What an operator wrote, in the plan in use. */
interface OwnModules {
  policies: readonly PolicyModule[]
  functions: readonly FunctionModule[]
}
let modules: OwnModules = { policies: [], functions: [] }
/** Messages behind one whose modules are being loaded; they are handled in their order. */
let waiting: ToDataThread[] | undefined

port.on('message', receive)

function receive(message: ToDataThread): void {
  if (waiting !== undefined) {
    waiting.push(message)
    return
  }
  const wanted = modulesOf(message)
  if (wanted === undefined || isDeepStrictEqual(wanted, modules)) handle(message)
  else void handleWithCode(message, wanted)
}

function modulesOf(message: ToDataThread): OwnModules | undefined {
  const settings =
    message.type === 'start'
      ? message.start.settings
      : message.type === 'plan'
        ? message.delta.settings
        : undefined
  return settings && { policies: settings.policies, functions: settings.functions.modules }
}

async function handleWithCode(message: ToDataThread, wanted: OwnModules): Promise<void> {
  waiting = []
  try {
    const { loadCode } = await import('./own-code.ts')
    handle(message, await loadCode(wanted))
    modules = wanted
  } catch (error) {
    if (message.type !== 'plan') throw error
    const reason = `code of the configuration does not load: ${(error as Error).message}`
    port.postMessage({ type: 'refused', version: message.delta.version, message: reason })
  } finally {
    const behind = waiting
    waiting = undefined
    for (const next of behind) receive(next)
  }
}

function handle(message: ToDataThread, code?: OwnCode): void {
  switch (message.type) {
    case 'start':
      thread = begin(message.start, code)
      break
    case 'plan':
      thread?.apply(message.delta, code)
      break
    case 'health':
      thread?.setSlots(message.slots)
      break
    case 'addresses':
      thread?.setAddresses(message.host, message.addresses)
      break
    case 'nodes':
      thread?.setNodes(message.service, message.nodes)
      break
    case 'listen':
      thread?.listen(message.ports)
      break
    case 'pause':
      thread?.pause()
      break
    case 'reopen-logs':
      thread?.reopenLogs()
      break
    case 'ask':
      thread?.ask(message.id, message.name, message.question)
      break
    case 'metrics':
      thread?.setMetrics(message.text)
      break
    case 'drain':
      thread?.drain()
      break
  }
}
