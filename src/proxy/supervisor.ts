/**
 * The control thread's part of the proxy: starts the data threads, puts one plan to work in all of them, replaces
 * those that die, and drains them at the end.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { equal } from '../config/copy.ts'
import { applyInPlace, diffPlans, invertDelta, isEmptyDelta } from '../config/diff.ts'
import {
  type Plan,
  type PlanChanges,
  type PlanDelta,
  resourceKinds,
  type UpstreamSpec,
} from '../config/plan.ts'
import { dataThreadsOf, type Settings } from '../config/settings.ts'
import { createEngineCounterMemory } from '../telemetry/engine-counters.ts'
import type { MetricsText } from '../telemetry/exposition.ts'
import type { Log } from '../telemetry/log.ts'
import { type Announcement, createMetricMemory } from '../telemetry/metrics.ts'
import { createThreadGaugeMemory } from '../telemetry/thread-gauges.ts'
import { ModuleVersions } from './module-versions.ts'
import { changedUpstreams, planUpstreams } from './plan-upstreams.ts'
import { assertPortsFree, listenersOnNewPorts } from './port-check.ts'
import { liveSettings } from './restart-settings.ts'
import { type ClearedState, RunTimeState, type StateCounts, total } from './run-time-state.ts'
import { CacheZones, createCacheZones, releaseCacheZones } from './shared/cache-zones.ts'
import { createConnectionTable, openConnections, reclaimConnections } from './shared/connections.ts'
import { createLimitTable, Limiter, limitEvictions, releaseLimitLocks } from './shared/limiter.ts'
import { createLoadTable, LoadReader, reclaimLoads } from './shared/load-table.ts'
import { presenceCells } from './shared/presences.ts'
import { createRecordTable, Records, releaseRecordLocks } from './shared/records.ts'
import { createWatchMemory } from './shared/watch-slot.ts'
import type { SpareThreads } from './spare-threads.ts'
import { ThreadHandle, type ThreadReport } from './thread-handle.ts'
import type { Ports, QuestionName, Questions, ThreadMemory, ToDataThread } from './thread-protocol.ts'
import type { UpstreamSlots } from './upstream/health/slots.ts'
import { Watchdog } from './watchdog.ts'
import { type AddressBook, type NodeBook, type Whereabout, Whereabouts } from './whereabouts.ts'

/** Who keeps watch over the endpoints of upstreams; the health monitor of the control thread. */
export interface HealthWatch {
  /** Shared by all threads. */
  readonly memory: SharedArrayBuffer
  /** Makes room for the endpoints of upstreams that are about to be put to work. */
  prepare(added: readonly UpstreamSpec[]): void
  /** These upstreams are in use now, and those of `gone` that are not among them no longer. */
  follow(added: readonly UpstreamSpec[], gone: readonly UpstreamSpec[]): void
  /** What a name leads to has changed, or the nodes of a service. */
  moved(change: Whereabout): void
  /** For a thread that starts. */
  slots(): readonly UpstreamSlots[]
  onSlots(listener: (slots: UpstreamSlots) => void): void
}

/** What takes the place of references to secrets in what data threads get. */
export interface Secrets {
  /** The delta with values, for data threads alone; it may reach further than what it was made from. Never rejects. */
  bind(delta: PlanDelta): Promise<PlanDelta>
  /** Resources with values that changed since they were handed out. */
  takeChanges(): PlanChanges
  /** Calls when there are such resources. */
  onChange(listener: () => void): void
}

/** Who wants to know what the threads report. */
export interface ThreadObserver {
  threadStarted(threadId: number, memory: ThreadMemory): void
  threadEnded(threadId: number): void
  announced(threadId: number, announcement: Announcement): void
  /** Complete lines for standard output, and how many. */
  lines(lines: string, count: number): void
  /** A thread shows the metrics of the whole gateway to a client. */
  metrics(): Promise<MetricsText>
}

export interface SupervisorOptions {
  plan: Plan
  threads: SpareThreads
  addressBook: AddressBook
  nodeBook: NodeBook
  health: HealthWatch
  /** Absent: configurations hold no references. */
  secrets?: Secrets
  observer: ThreadObserver
  log: Log
  /** Whether listeners are opened by the start; `setOpen` changes it. Default: true. */
  open?: boolean
  /** Bytes of the rate limit table; pages that are never used cost nothing. */
  limitTableBytes?: number
  /** Versions of the operator's code that a thread may hold without need before it is restarted. Default: 32. */
  oldVersions?: number
}

export type SupervisorState = 'starting' | 'running' | 'draining' | 'stopped'

export interface SupervisorStatus {
  state: SupervisorState
  /** Of the plan in use. */
  version: number
  /** Epoch milliseconds; 0: no plan is in use yet. */
  appliedAt: number
  threads: { threadId: number; listening: boolean }[]
  restarts: number
  /** That threads had open when they died. */
  connectionsLost: number
  ports: Ports
  openConnections: number
  limiterEvictions: number
}

export type ApplyResult =
  | { outcome: 'applied'; version: number; changes: Record<string, number> }
  | { outcome: 'unchanged'; version: number }
  /** No thread could be brought to it; all run the plan they had. */
  | { outcome: 'refused'; reason: string }

interface Slot {
  readonly threadId: number
  handle: ThreadHandle | undefined
  listening: boolean
  /** In a row, each soon after its start. */
  deaths: number
  /** Monotonic ms. */
  startedAt: number
  /** Of the operator's code, in this thread. */
  versions: ModuleVersions
  /** A restart that was asked for; resolves when the replacement listens. */
  restarting: PromiseWithResolvers<void> | undefined
}

const limitTableBytes = 32 * 1024 * 1024
const mostOldVersions = 32
/** A thread that has not answered by then hangs. */
const answerTimeoutMs = 30_000
/** Beyond the grace for requests: closing files and sockets. */
const endMarginMs = 2_000
const firstRestartDelayMs = 100
const longestRestartDelayMs = 30_000
/** A thread that lived that long did not die of its start. */
const healthyLifeMs = 60_000

export class Supervisor {
  /** Kept in the control thread, or in memory that all threads share. */
  readonly state = new RunTimeState()
  readonly #options: SupervisorOptions
  readonly #log: Log
  readonly #limits: SharedArrayBuffer
  readonly #connections: SharedArrayBuffer
  readonly #loads: SharedArrayBuffer
  readonly #presences: SharedArrayBuffer
  readonly #circuits = createRecordTable()
  readonly #turnCounters = createRecordTable()
  readonly #caches: ReadonlyMap<string, SharedArrayBuffer>
  readonly #slots: Slot[]
  readonly #watchdog: Watchdog
  readonly #ticketSecret = randomBytes(32)
  readonly #whereabouts: Whereabouts
  /** Ends waits for a restart when the process ends. */
  readonly #ending = new AbortController()
  #plan: Plan
  #state: SupervisorState = 'starting'
  #appliedAt = 0
  #restarts = 0
  #connectionsLost = 0
  #ports: Ports = new Map()
  /** Traffic is wanted; otherwise the threads run without listeners. */
  #open: boolean
  #shedding = false
  /** Changes of the plan and starts of threads, one at a time, so that every thread gets every plan. Never rejects. */
  #turns: Promise<unknown> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    const workers = dataThreadsOf(options.plan.settings)
    this.#options = options
    this.#log = options.log
    this.#open = options.open ?? true
    this.#plan = { ...options.plan, version: 1 }
    this.#watchdog = new Watchdog(() => this.#plan.settings.watchdog, this.#log)
    this.#whereabouts = new Whereabouts(options.addressBook, options.nodeBook)
    this.#limits = createLimitTable(options.limitTableBytes ?? limitTableBytes)
    this.#connections = createConnectionTable(workers)
    this.#loads = createLoadTable(workers)
    this.#presences = createLoadTable(workers, presenceCells)
    this.#caches = createCacheZones(this.#plan.settings)
    // The data threads have the numbers from 1 on.
    const limits = new Limiter(this.#limits, workers + 1)
    this.state.add({
      kind: 'limits',
      count: () => limits.count(),
      clear: (owner) => limits.clear(owner),
    })
    const policyState = [
      ['breakers', this.#circuits],
      ['balancers', this.#turnCounters],
    ] as const
    for (const [kind, table] of policyState) {
      const records = new Records(table, workers + 1)
      this.state.add({ kind, count: () => records.size, clear: (owner) => records.clear(owner) })
    }
    const caches = new CacheZones(this.#caches, this.#plan.settings, workers + 1, this.#log)
    this.state.add({
      kind: 'caches',
      count: () => caches.count(),
      clear: (owner) => caches.clear(owner),
    })
    this.#slots = Array.from({ length: workers }, (_, index) => ({
      threadId: index + 1,
      handle: undefined,
      listening: false,
      deaths: 0,
      startedAt: 0,
      versions: new ModuleVersions(),
      restarting: undefined,
    }))
  }

  /** What data threads share about the load of upstreams. */
  get loads(): LoadReader {
    return new LoadReader(this.#loads)
  }

  /** The plan in use, with the settings that are in effect. */
  get plan(): Plan {
    return this.#plan
  }

  get status(): SupervisorStatus {
    return {
      state: this.#state,
      version: this.#plan.version,
      appliedAt: this.#appliedAt,
      threads: this.#slots.map(({ threadId, listening }) => ({ threadId, listening })),
      restarts: this.#restarts,
      connectionsLost: this.#connectionsLost,
      ports: this.#ports,
      openConnections: openConnections(this.#connections),
      limiterEvictions: limitEvictions(this.#limits),
    }
  }

  /** Takes traffic: running, with at least one thread that listens. */
  get ready(): boolean {
    return this.#state === 'running' && this.#slots.some((slot) => slot.listening)
  }

  /** Resolves when every thread runs the plan and listens. Rejects when one cannot; then none is left. */
  async start(): Promise<void> {
    const { health } = this.#options
    try {
      await assertPortsFree(this.#plan.settings.listeners)
      this.#whereabouts.use(this.#plan)
      const upstreams = planUpstreams(this.#plan)
      await this.#whereabouts.add(upstreams)
      this.#whereabouts.tell((change) => {
        // First, so that threads know the slots of endpoints before the endpoints.
        health.moved(change)
        this.#broadcast(change)
      })
      const delta = await this.#bind(diffPlans(null, this.#plan))
      health.prepare(upstreams)
      health.onSlots((slots) => this.#broadcast({ type: 'health', slots }))
      await Promise.all(this.#slots.map((slot) => this.#spawn(slot, delta).started))
      await this.#listenAll(this.#slots)
      health.follow(upstreams, [])
    } catch (error) {
      await this.#terminateAll()
      throw error
    }
    this.#appliedAt = Date.now()
    this.#state = 'running'
    this.#options.secrets?.onChange(() => void this.#exclusive(() => this.#renewSecrets()))
    await this.#options.threads.close()
  }

  /** Puts a plan to work in all threads, or in none. */
  apply(wanted: Plan): Promise<ApplyResult> {
    return this.#exclusive(() => this.#apply(wanted))
  }

  /** Asks a thread that takes traffic. Rejects when there is none, or when it does not answer. */
  async ask<N extends QuestionName>(
    name: N,
    question: Questions[N]['question'],
  ): Promise<Questions[N]['answer']> {
    const handle = this.#slots.find((slot) => slot.listening)?.handle
    if (handle === undefined) throw new Error('no data thread takes traffic')
    return inTime(handle.ask(name, question))
  }

  /** Asks every thread. One that ends meanwhile has no answer. */
  async askAll<N extends QuestionName>(
    name: N,
    question: Questions[N]['question'],
  ): Promise<Questions[N]['answer'][]> {
    const answers = await Promise.all(
      this.#handles().map(async (handle) => {
        try {
          return [await inTime(handle.ask(name, question))]
        } catch (error) {
          if (handle.gone) return []
          throw error
        }
      }),
    )
    return answers.flat()
  }

  /** How much run-time state there is, over all threads. */
  async stateCounts(): Promise<StateCounts> {
    return total([...(await this.askAll('state-counts', undefined)), this.state.counts()])
  }

  /** Clears run-time state in all threads. @returns how many entries that were, over all threads */
  async clearState(cleared: ClearedState): Promise<StateCounts> {
    // The threads first: what they count into shared memory is then not added up once more.
    const theirs = await this.askAll('clear-state', cleared)
    return total([...theirs, this.state.clear(cleared)])
  }

  /**
   * Puts changes of the plan to work in all threads, or in none. The effort is that of the changes, however large the
   * plan is.
   */
  change(changes: PlanChanges): Promise<ApplyResult> {
    return this.#exclusive(() => this.#change(changes))
  }

  /** Closes the listeners of all threads, while everything else goes on, or opens them again at the same ports. */
  setOpen(open: boolean): Promise<void> {
    return this.#exclusive(async () => {
      if (open === this.#open || this.#state !== 'running') return
      this.#open = open
      const running = this.#slots.filter(({ handle }) => handle !== undefined)
      if (open) {
        await this.#listenAll(running)
        return
      }
      for (const slot of running) slot.listening = false
      await inTime(Promise.all(running.map(({ handle }) => handle?.pause())))
    })
  }

  /** Whether traffic is wanted. */
  get open(): boolean {
    return this.#open
  }

  reopenLogs(): void {
    this.#broadcast({ type: 'reopen-logs' })
  }

  /** Ends one thread with whatever it is doing, as a crash would; it is replaced. For tests of what that costs. */
  async endThread(threadId: number): Promise<void> {
    await this.#slots[threadId - 1]?.handle?.terminate()
  }

  /** Replaces a thread after it has finished what is in flight; the others take the traffic meanwhile. */
  async restartThread(threadId: number): Promise<void> {
    const slot = this.#slots[threadId - 1]
    const handle = slot?.handle
    if (slot === undefined || handle === undefined || this.#state !== 'running') return
    slot.listening = false
    slot.restarting = Promise.withResolvers()
    const { promise } = slot.restarting
    await withTimeout(handle.drain(), this.#plan.settings.timeouts.drain + endMarginMs)
    await handle.terminate()
    await promise
  }

  /** Fails readiness, closes the listeners, lets requests finish within the grace period, then ends all threads. */
  async drain(): Promise<void> {
    this.#state = 'draining'
    this.#ending.abort()
    const grace = this.#plan.settings.timeouts.drain + endMarginMs
    const drained = this.#handles().map((handle) => handle.drain())
    await withTimeout(Promise.all(drained), grace)
    await this.#terminateAll()
  }

  /** Ends all threads with whatever they are doing. */
  async stop(): Promise<void> {
    this.#state = 'draining'
    this.#ending.abort()
    await this.#terminateAll()
  }

  async #apply(wanted: Plan): Promise<ApplyResult> {
    const current = this.#plan
    const { settings, needRestart } = liveSettings(current.settings, wanted.settings)
    if (needRestart.length > 0) {
      this.#log.warn({ settings: needRestart }, 'changed settings that take effect at the next start')
    }
    const next: Plan = { ...wanted, settings, version: current.version + 1 }
    const delta = diffPlans(current, next)
    if (isEmptyDelta(delta)) return { outcome: 'unchanged', version: current.version }
    const listenersChange = !equal(current.settings.listeners, settings.listeners)
    const taken = listenersChange ? await this.#takenPort(settings) : undefined
    if (taken !== undefined) return { outcome: 'refused', reason: taken }

    const { health } = this.#options
    const { added, gone } = changedUpstreams(current, delta)
    this.#whereabouts.use(next)
    await this.#whereabouts.add(added)
    health.prepare(added)
    const reason =
      (await this.#applyEverywhere(await this.#bind(delta))) ??
      (listenersChange ? await this.#listenAnew() : undefined)
    if (reason !== undefined) {
      await this.#goBack(await this.#bind(invertDelta(current, delta)))
      if (listenersChange) await this.#listenAnew()
      health.follow(gone, added)
      this.#whereabouts.use(current)
      await this.#whereabouts.remove(added)
      return { outcome: 'refused', reason }
    }
    this.#plan = next
    this.#appliedAt = Date.now()
    health.follow(added, gone)
    await this.#whereabouts.remove(gone)
    void this.#shedOldCode()
    return { outcome: 'applied', version: next.version, changes: countChanges(delta) }
  }

  async #change(changes: PlanChanges): Promise<ApplyResult> {
    const { version } = this.#plan
    const delta: PlanDelta = { ...changes, version: version + 1 }
    if (isEmptyDelta(delta)) return { outcome: 'unchanged', version }
    const { health } = this.#options
    const { added, gone } = changedUpstreams(this.#plan, delta)
    await this.#whereabouts.add(added)
    health.prepare(added)
    const reason = await this.#applyEverywhere(await this.#bind(delta))
    if (reason !== undefined) {
      await this.#goBack(await this.#bind(invertDelta(this.#plan, delta)))
      health.follow(gone, added)
      await this.#whereabouts.remove(added)
      return { outcome: 'refused', reason }
    }
    applyInPlace(this.#plan, delta)
    this.#appliedAt = Date.now()
    health.follow(added, gone)
    this.#whereabouts.use(this.#plan)
    await this.#whereabouts.remove(gone)
    return { outcome: 'applied', version: delta.version, changes: countChanges(delta) }
  }

  /** Has the threads use secrets as they are now. The plan, which holds references, does not change. */
  async #renewSecrets(): Promise<void> {
    const { secrets } = this.#options
    if (secrets === undefined || this.#state !== 'running') return
    const version = this.#plan.version + 1
    const delta: PlanDelta = { ...secrets.takeChanges(), version }
    if (isEmptyDelta(delta)) return
    this.#plan = { ...this.#plan, version }
    const reason = await this.#applyEverywhere(delta)
    const fields = { version, changes: countChanges(delta) }
    if (reason === undefined) this.#log.info(fields, 'changed secrets are in use')
    else this.#log.error({ ...fields, reason }, 'changed secrets could not be put to work')
  }

  /**
   * Restarts threads that hold too much code which is in use no more: one after another, and only while another one takes
   * the traffic.
   */
  async #shedOldCode(): Promise<void> {
    if (this.#shedding) return
    this.#shedding = true
    const most = this.#options.oldVersions ?? mostOldVersions
    for (const slot of this.#slots) {
      const old = slot.versions.besides(modulesOf(this.#plan.settings))
      const isCovered = this.#slots.some((other) => other !== slot && other.listening)
      if (old < most || !isCovered || slot.restarting !== undefined) continue
      this.#log.info(
        { thread: slot.threadId, oldVersions: old },
        'data thread restarts to let go of old code',
      )
      await this.restartThread(slot.threadId)
    }
    this.#shedding = false
  }

  async #bind(delta: PlanDelta): Promise<PlanDelta> {
    return this.#options.secrets?.bind(delta) ?? delta
  }

  /** The first refusal; undefined when all threads run the new plan. */
  async #applyEverywhere(delta: PlanDelta): Promise<string | undefined> {
    const answers = await Promise.all(this.#slots.map((slot) => this.#applyIn(slot, delta)))
    return answers.find((refusal) => refusal !== undefined)
  }

  /** Why the slot's thread does not run the plan; undefined when it does, or its replacement will. */
  async #applyIn(slot: Slot, delta: PlanDelta): Promise<string | undefined> {
    const { handle } = slot
    if (handle === undefined) return undefined
    if (delta.settings !== undefined) slot.versions.add(modulesOf(delta.settings))
    // One that keeps dying says nothing against the plan, which may be the cure.
    const unwell = slot.deaths > 0 && performance.now() - slot.startedAt < healthyLifeMs
    try {
      await inTime(handle.apply(delta))
      return undefined
    } catch (error) {
      return unwell && handle.gone ? undefined : (error as Error).message
    }
  }

  /** After a refusal. A thread that cannot return to the plan it had is replaced, which brings it there. */
  async #goBack(delta: PlanDelta): Promise<void> {
    await Promise.all(
      this.#handles().map(async (handle) => {
        try {
          await inTime(handle.apply(delta))
        } catch {
          await handle.terminate()
        }
      }),
    )
  }

  /** Why listeners of these settings cannot be opened beside those that are open; undefined: nothing is known against it. */
  async #takenPort({ listeners }: Settings): Promise<string | undefined> {
    try {
      await assertPortsFree(listenersOnNewPorts(this.#plan.settings.listeners, listeners))
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  /**
   * Has the threads that listen open and close listeners, as the settings that they have now say.
   * @returns why one of them cannot
   */
  async #listenAnew(): Promise<string | undefined> {
    const listening = this.#slots.filter((slot) => slot.listening && slot.handle !== undefined)
    try {
      await inTime(this.#listenAll(listening))
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }

  async #listenAll(slots: readonly Slot[]): Promise<void> {
    const [first, ...others] = slots
    // The first thread finds out which ports were chosen for port 0; the others share them.
    if (first !== undefined) await this.#listen(first)
    await Promise.all(others.map((slot) => this.#listen(slot)))
  }

  async #listen(slot: Slot): Promise<void> {
    if (!this.#open) return
    const handle = slot.handle!
    this.#ports = await handle.listen(this.#ports.size === 0 ? undefined : this.#ports)
    slot.listening = !handle.gone
  }

  #spawn(slot: Slot, delta: PlanDelta): ThreadHandle {
    const { health, threads, observer } = this.#options
    const { threadId } = slot
    const memory: ThreadMemory = {
      limits: this.#limits,
      connections: this.#connections,
      loads: this.#loads,
      presences: this.#presences,
      circuits: this.#circuits,
      turns: this.#turnCounters,
      health: health.memory,
      metrics: createMetricMemory(),
      counters: createEngineCounterMemory(),
      gauges: createThreadGaugeMemory(),
      watch: createWatchMemory(),
      caches: this.#caches,
    }
    const start = {
      threadId,
      settings: this.#plan.settings,
      delta,
      addresses: this.#whereabouts.addresses(),
      nodes: this.#whereabouts.nodes(),
      health: health.slots(),
      memory,
      ticketSecret: this.#ticketSecret,
    }
    const handle = new ThreadHandle(threads.take(this.#plan.settings.watchdog.heap), start, {
      report: (report) => this.#report(threadId, report),
      crashed: (err) => this.#log.error({ err, thread: threadId }, 'data thread crashed'),
    })
    slot.handle = handle
    slot.versions = new ModuleVersions()
    slot.versions.add(modulesOf(this.#plan.settings))
    this.#watchdog.watch({
      threadId,
      memory: memory.watch,
      get isApplying() {
        return handle.isApplying
      },
      end: () => void handle.terminate(),
    })
    slot.startedAt = performance.now()
    observer.threadStarted(threadId, memory)
    handle.ended.then((code) => this.#ended(slot, code))
    return handle
  }

  #report(threadId: number, report: ThreadReport): void {
    switch (report.type) {
      case 'announce':
        this.#options.observer.announced(threadId, report.announcement)
        break
      case 'lines':
        this.#options.observer.lines(report.lines, report.count)
        break
      case 'label':
        this.#watchdog.name(threadId, report.label, report.name)
        break
      case 'want-metrics':
        void this.#tellMetrics(threadId)
        break
      case 'log':
        this.#log[report.level](report.fields, report.message)
    }
  }

  async #tellMetrics(threadId: number): Promise<void> {
    const text = await this.#options.observer.metrics().catch((err) => {
      this.#log.error({ err }, 'the metrics cannot be shown')
      return undefined
    })
    this.#slots.find((slot) => slot.threadId === threadId)?.handle?.post({ type: 'metrics', text })
  }

  /** Gives back what the thread held, and has it replaced unless everything ends. */
  #ended(slot: Slot, code: number): void {
    slot.handle = undefined
    slot.listening = false
    releaseLimitLocks(this.#limits, slot.threadId)
    const connectionsLost = reclaimConnections(this.#connections, slot.threadId)
    this.#watchdog.forget(slot.threadId)
    reclaimLoads(this.#loads, slot.threadId)
    reclaimLoads(this.#presences, slot.threadId)
    releaseRecordLocks(this.#circuits, slot.threadId)
    releaseRecordLocks(this.#turnCounters, slot.threadId)
    releaseCacheZones(this.#caches, this.#plan.settings, slot.threadId)
    this.#options.observer.threadEnded(slot.threadId)
    if (this.#state !== 'running') return
    if (slot.restarting !== undefined) {
      this.#replace(slot, 0)
      return
    }
    const lived = performance.now() - slot.startedAt
    slot.deaths = lived > healthyLifeMs ? 1 : slot.deaths + 1
    const wait = restartDelay(slot.deaths)
    this.#restarts++
    this.#connectionsLost += connectionsLost
    this.#log.error(
      { thread: slot.threadId, code, connectionsLost, restartInMs: wait },
      'data thread ended, it will be replaced',
    )
    this.#replace(slot, wait)
  }

  async #replace(slot: Slot, wait: number): Promise<void> {
    try {
      await delay(wait, undefined, { signal: this.#ending.signal })
    } catch {
      return
    }
    const handle = await this.#exclusive(async () => {
      if (this.#state !== 'running') return undefined
      const delta = await this.#bind(diffPlans(null, this.#plan))
      return this.#state === 'running' ? this.#spawn(slot, delta) : undefined
    })
    if (handle === undefined) return
    try {
      await inTime(handle.started)
      // Not while a plan is put to work, which may bring other listeners.
      await this.#exclusive(() => inTime(this.#listen(slot)))
      this.#log.info({ thread: slot.threadId }, 'data thread was replaced')
      slot.restarting?.resolve()
      slot.restarting = undefined
    } catch (err) {
      this.#log.error({ err, thread: slot.threadId }, 'a new data thread could not take up its work')
      // Its end has it replaced again, after a longer wait.
      await handle.terminate()
    }
  }

  async #terminateAll(): Promise<void> {
    this.#state = 'stopped'
    this.#watchdog.close()
    await Promise.all([this.#options.threads.close(), ...this.#handles().map((handle) => handle.terminate())])
  }

  #broadcast(message: ToDataThread): void {
    for (const handle of this.#handles()) handle.post(message)
  }

  #handles(): ThreadHandle[] {
    return this.#slots.flatMap(({ handle }) => (handle === undefined ? [] : [handle]))
  }

  #exclusive<T>(turn: () => Promise<T>): Promise<T> {
    const result = this.#turns.then(turn)
    this.#turns = result.catch(() => {})
    return result
  }
}

function modulesOf({ policies, functions }: Settings): string[] {
  return [...policies, ...functions.modules].map(({ url }) => url)
}

/** Resources that a delta touches, by kind. */
function countChanges(delta: PlanDelta): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of resourceKinds) {
    const count = (delta.put[kind]?.length ?? 0) + (delta.remove[kind]?.length ?? 0)
    if (count > 0) counts[kind] = count
  }
  return counts
}

/** The first death may be an accident; from the second on, the wait doubles. */
function restartDelay(deaths: number): number {
  if (deaths <= 1) return 0
  return Math.min(longestRestartDelayMs, firstRestartDelayMs * 2 ** (deaths - 2))
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const timeout = new AbortController()
  const late = delay(answerTimeoutMs, undefined, { signal: timeout.signal }).then(() => {
    throw new Error('a data thread did not answer in time')
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    late.catch(() => {})
    timeout.abort()
  }
}

async function withTimeout(work: Promise<unknown>, ms: number): Promise<void> {
  const timeout = new AbortController()
  const over = delay(ms, undefined, { signal: timeout.signal }).catch(() => {})
  await Promise.race([work, over])
  timeout.abort()
}
