/**
 * Runs a policy without a socket, a clock or a shared table: one binding, as many exchanges as a test wants.
 * The fakes keep the rules of the engine that a policy can notice; they do not stand in for tests through the wire.
 */

import type { Static, TObject } from 'typebox'
import { defaultZones, zonePlaces } from '../../config/cache-zones.ts'
import type {
  ConsumerSpec,
  ContractSpec,
  CredentialSpec,
  PluginConfig,
  Plugins,
  ProtoSpec,
} from '../../config/plan.ts'
import { type PrometheusInput, prometheusSettings } from '../../config/prometheus-settings.ts'
import { readProto } from '../../config/proto/proto-content.ts'
import { checkSchema } from '../../config/schema.ts'
import type {
  BindingInfo,
  Exchange,
  PolicyHandlers,
  SubrequestAnswer,
  SubrequestFailure,
  SubrequestHead,
  Verdict,
} from '../../proxy/exchange.ts'
import { compileCondition } from '../../proxy/expression.ts'
import { Circuits } from '../../proxy/shared/circuits.ts'
import { createRecordTable } from '../../proxy/shared/records.ts'
import { TurnCounters } from '../../proxy/shared/turn-counters.ts'
import { type Call, type CallAnswer, CallError } from './calls.ts'
import { ConsumerDirectory } from './consumers.ts'
import { ContractIndex } from './contracts.ts'
import { CredentialIndex } from './credentials.ts'
import type { OwnFunction } from './functions/own-function.ts'
import type {
  Delays,
  LimitBucket,
  Limiter,
  LimitKey,
  LimitState,
  LimitWindow,
  LineTarget,
  PolicyHost,
  Presence,
  PublicApi,
} from './host.ts'
import type { CostKind, CounterStore } from './limits/counter-store.ts'
import type { ValueStore } from './limits/value-store.ts'
import { Batches } from './logging/batch-processor.ts'
import type { AnyPolicy, Policy } from './policy.ts'
import { FakeExchange, type FakeRequest, type FakeResponse, type UpstreamCopy } from './testing-exchange.ts'

export type { FakeRequest, FakeResponse } from './testing-exchange.ts'

export interface FakeConsumer {
  username: string
  plugins?: Plugins
  credentials?: CredentialSpec[]
  labels?: Record<string, string>
}

export interface BindOptions<Config, Metadata> {
  config?: Partial<Config>
  metadata?: Metadata
  consumers?: readonly FakeConsumer[]
  contracts?: readonly ContractSpec[]
  /** As `content` of an item of `protos` has them, by id. */
  protos?: Readonly<Record<string, string>>
  /** Default: route `r1` of service `s1`, whose own plugins hold the policy. */
  binding?: Partial<BindingInfo> & { owner?: string }
  /** Those that the policy may set up in its own place. */
  policies?: readonly AnyPolicy[]
  /** What the operator's settings say of metrics. */
  prometheus?: PrometheusInput
  publicApis?: Readonly<Record<string, PublicApi>>
  /** Configurations of the policy on other routes, by id. */
  configs?: Readonly<Record<string, PluginConfig>>
  /** In place of one that counts in this test alone. */
  counterStore?: CounterStore
  /** In place of one that keeps values in this test alone. */
  valueStore?: ValueStore
  /** Ids of upstreams that there are not. */
  missingUpstreams?: readonly string[]
  /** Ids, or paths with dots, of upstreams with no endpoint that can be used. */
  downUpstreams?: readonly string[]
  /** Stands for every service that the policy calls. What it throws is what the policy gets. */
  service?: (call: Call) => FakeAnswer | Promise<FakeAnswer>
  /** Stands for the gateway itself, where the policy asks it. */
  subrequest?: (
    head: SubrequestHead,
    exchange: Exchange,
  ) => SubrequestAnswer | SubrequestFailure | Promise<SubrequestAnswer | SubrequestFailure>
  /** Default: true. */
  mayAsk?: boolean
  /** Zones for stored answers; by default there is none. */
  cache?: PolicyHost['cache']
  /** Variables beside those that the fake exchange knows. */
  variables?: Readonly<Record<string, string>>
  /** Of the operator's, by the entries that name them. */
  functions?: Readonly<Record<string, OwnFunction>>
}

/** What another service answers. */
export interface FakeAnswer {
  /** Default 200. */
  status?: number
  /** Names in lower case. */
  headers?: Record<string, string | string[]>
  /** An object is sent as JSON. */
  body?: string | object
}

/** What became of one exchange. */
export interface Run {
  /** The policy's answer, when it ended the request. */
  readonly verdict: Verdict | undefined
  /** What the client got: the policy's answer or the upstream's, with the fields that the policy set. Names in lower case. */
  readonly answer: { status: number; headers: Record<string, string>; body: string }
  /** What the upstream got; undefined when the request did not reach it. */
  readonly upstream: UpstreamCopy | undefined
  /** Username of the caller, once identified. */
  readonly consumer: string | undefined
  /** Key of the upstream that the policy chose; undefined: that of the route. */
  readonly sentTo: string | undefined
  readonly exchange: Exchange
}

/** A request that is under way. */
export interface BegunRun {
  readonly exchange: Exchange
  /** Of the request phase; undefined: it goes on to the upstream. */
  readonly verdict: Promise<Verdict | undefined>
  /** The answer is complete, or the client gone. */
  end(outcome?: 'complete' | 'client_abort'): void
}

export interface BoundPolicy {
  run(request?: FakeRequest, response?: FakeResponse): Promise<Run>
  /** The same for a request that ends when the test says so. */
  begin(request?: FakeRequest): BegunRun
  /** What clients reach of the policy through `public-api`. */
  publicApi(request?: FakeRequest): Promise<Verdict>
  /** Lets that much time pass; who waits for less goes on. */
  advance(ms: number): void
  /** Puts other consumers in place of all there were, as a reload does. */
  setConsumers(consumers: readonly FakeConsumer[]): void
  /** Counted so far, by metric: counters, and `_count` and `_sum` of histograms, over all series. */
  counters(): Record<string, number>
  /** Series in the order they came up: `name{label="value"} 3`. */
  series(): string[]
  /** Calls that the policy made to other services. */
  readonly calls: readonly Call[]
  /** Lines written to sinks. */
  readonly lines: string[]
  /** Messages of level warn and error. */
  readonly logged: string[]
  readonly handlers: PolicyHandlers
}

/** Binds the policy, runs one request through it and tells what happened. Options are those of both. */
export async function runPolicy<Config extends TObject, Credential extends TObject, Metadata extends TObject>(
  policy: Policy<Config, Credential, Metadata>,
  options: BindOptions<Static<Config>, Static<Metadata>> & { request?: FakeRequest; response?: FakeResponse },
): Promise<Run & { counters: Record<string, number> }> {
  const bound = bindPolicy(policy, options)
  const run = await bound.run(options.request, options.response)
  return { ...run, counters: bound.counters() }
}

/** @throws Error with every finding when the configuration does not fit the policy. */
export function bindPolicy<Config extends TObject, Credential extends TObject, Metadata extends TObject>(
  policy: Policy<Config, Credential, Metadata>,
  options: BindOptions<Static<Config>, Static<Metadata>> = {},
): BoundPolicy {
  const config = checked(policy.config, options.config ?? {})
  const finding = (policy as AnyPolicy).validate?.(config, zonePlaces(defaultZones))
  if (finding !== undefined) throw new Error(finding)
  const metadata =
    options.metadata && policy.metadata ? checked(policy.metadata, options.metadata) : undefined

  let consumers = consumersByName(options.consumers ?? [])
  const directory = new ConsumerDirectory(() => consumers)
  const protos = new Map(
    Object.entries(options.protos ?? {}).map(([id, content]) => [id, protoSpec(id, content)]),
  )
  const contracts = new Map((options.contracts ?? []).map((contract) => [contract.id, contract]))
  const indices: CredentialIndex[] = []
  const clock = new FakeClock()
  const circuits = new Circuits(createRecordTable(16), 1)
  const turns = new TurnCounters(createRecordTable(16), 1)
  const values = new FakeValues(clock)
  const metrics = new FakeMetrics()
  const lines: string[] = []
  const calls: Call[] = []
  const logged: string[] = []
  const tell = (_fields: object, message: string) => logged.push(message)
  const { owner, ...place } = options.binding ?? {}
  const binding: BindingInfo = { ...defaultBinding, ...place }

  const host: PolicyHost = {
    binding: {
      policy: policy.name,
      routeId: binding.routeId,
      serviceId: binding.serviceId,
      owner: owner ?? `route:${binding.routeId}`,
    },
    metadata,
    credentials(keyOf) {
      const index = new CredentialIndex(policy.name, keyOf, directory)
      indices.push(index)
      return index
    },
    upstream(where) {
      const key = 'id' in where ? `upstream:${where.id}` : 'key' in where ? where.key : where.path.join('.')
      const isUp = !options.downUpstreams?.includes(key.replace(/^upstream:/, ''))
      return {
        key,
        exists: !('id' in where && options.missingUpstreams?.includes(String(where.id))),
        isUp,
        origin: isUp ? { url: 'http://10.0.0.1:8080', host: undefined } : undefined,
      }
    },
    consumers: directory,
    contracts: new ContractIndex(() => contracts),
    proto: (id) => protos.get(String(id)),
    limiter: new FakeLimiter(clock),
    circuits: {
      isBroken: (key, rule) => circuits.isBroken(key, rule, clock.second),
      failed: (key, rule) => circuits.failed(key, rule, clock.second),
      succeeded: (key, rule) => circuits.succeeded(key, rule),
    },
    takeTurn: (name) => turns.take(name, clock.second),
    delays: clock,
    counterStore: () => options.counterStore ?? new FakeStore(clock),
    valueStore: () => options.valueStore ?? values,
    cache: options.cache ?? (() => undefined),
    metrics,
    prometheus: prometheusSettings(options.prometheus ?? {}),
    publicApi: (path) => options.publicApis?.[path],
    configOf: (routeId) => options.configs?.[routeId],
    subrequest: async (exchange, head) => options.subrequest?.(head, exchange) ?? 'closed',
    mayAsk: options.mayAsk ?? true,
    calls: () => ({
      async call(call) {
        calls.push(call)
        if (options.service === undefined) throw new CallError('unreachable', 'the test has no service')
        return completeAnswer(await options.service(call))
      },
    }),
    batches: (settings, maxPending, send) =>
      new Batches(metrics, { ...silent, error: tell, warn: tell }).open(
        policy.name,
        settings,
        maxPending,
        send,
      ),
    gateway: { hostname: 'gateway.example', version: '1.2.3' },
    lines: (_target: LineTarget) => ({ write: (line) => lines.push(line) }),
    variable: (name) => (exchange) => options.variables?.[name] ?? (exchange as FakeExchange).variable(name),
    holdBody() {},
    template: (text, change) => (exchange) =>
      expand(text, exchange as FakeExchange, options.variables, change),
    condition: (vars) => compileCondition(vars),
    bind(name, inner, part) {
      const other = options.policies?.find((candidate) => candidate.name === name)
      if (other === undefined) throw new Error(`the test has no policy ${name}`)
      const owner = part === undefined ? host.binding.owner : `${host.binding.owner}/${part}`
      return other.create(checked(other.config, inner), { ...host, binding: { ...host.binding, owner } })
    },
    ownFunction(key) {
      const found = options.functions?.[key]
      if (found === undefined) throw new Error(`the test has no function ${key}`)
      return found
    },
    httpsPort: () => 9443,
    log: { ...silent, warn: tell, error: tell },
    now: () => clock.now,
  }
  const handlers = (policy as AnyPolicy).create(config, host)

  return {
    async run(request, response) {
      const exchange = new FakeExchange(binding, request ?? {}, response ?? {}, clock.now)
      const verdict = await runPhases(handlers, exchange)
      return {
        verdict,
        answer: exchange.clientAnswer(),
        upstream: verdict ? undefined : exchange.upstreamCopy(),
        consumer: exchange.consumer?.username,
        sentTo: exchange.sentTo?.key,
        exchange,
      }
    },
    begin(request) {
      const exchange = new FakeExchange(binding, request ?? {}, {}, clock.now)
      const verdict = Promise.resolve(handlers.request?.(exchange)).then((result) => result ?? undefined)
      return {
        exchange,
        verdict,
        end(outcome = 'complete') {
          exchange.outcome = outcome
          handlers.observe?.(exchange)
        },
      }
    },
    publicApi: (request) =>
      (policy as AnyPolicy).publicApi!(
        new FakeExchange(binding, request ?? {}, {}, clock.now),
        host,
        request?.target ?? '/',
      ),
    advance: (ms) => clock.advance(ms),
    setConsumers(changed) {
      consumers = consumersByName(changed)
      for (const index of indices) index.invalidate()
    },
    counters: () => metrics.totals(),
    series: () => metrics.series(),
    lines,
    calls,
    logged,
    handlers,
  }
}

function completeAnswer({ status = 200, headers = {}, body = '' }: FakeAnswer): CallAnswer {
  return { status, headers, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }
}

const defaultBinding: BindingInfo = {
  routeId: 'r1',
  routeName: '',
  serviceId: 's1',
  serviceName: '',
  matchedUri: '/*',
  matchedHost: '',
}

/** The phases in the order of the engine. */
async function runPhases(handlers: PolicyHandlers, exchange: FakeExchange): Promise<Verdict | undefined> {
  let verdict = (await handlers.request?.(exchange)) ?? undefined
  if (!verdict) {
    handlers.send?.(exchange)
    for (const chunk of exchange.requestChunks()) {
      verdict = handlers.requestBody?.(exchange, chunk)
      if (verdict) break
    }
  }
  if (verdict) {
    verdict = handlers.shape?.(exchange, verdict) ?? verdict
    exchange.reject(verdict)
  } else exchange.receiveUpstream()
  const filter = handlers.respond?.(exchange)
  if (filter) await exchange.filterBody(filter)
  if (exchange.responseBody.length > 0) handlers.responseBody?.(exchange, exchange.responseBody)
  exchange.finish()
  handlers.observe?.(exchange)
  return verdict
}

/** The configuration with its defaults, as the gateway's own check hands it to a policy. */
function checked(schema: TObject, config: object): PluginConfig {
  const { _meta, ...own } = structuredClone(config) as PluginConfig
  const problems = checkSchema(schema, own)
  if (problems.length === 0) return _meta ? { ...own, _meta } : own
  throw new Error(
    problems.map(({ path, message }) => `${['config', ...path].join('.')}: ${message}`).join('; '),
  )
}

function consumersByName(consumers: readonly FakeConsumer[]): Map<string, ConsumerSpec> {
  return new Map(consumers.map((consumer) => [consumer.username, { credentials: [], ...consumer }]))
}

function expand(
  text: string,
  exchange: FakeExchange,
  variables: Readonly<Record<string, string>> = {},
  change = (value: string) => value,
): string {
  const source = Buffer.from(text).toString('latin1')
  return source.replace(/(?<!\\)\$(?:\{\s*([^}]+?)\s*\}|([\w.]+))/g, (_, braced?: string, bare?: string) => {
    const [name = '', standIn = ''] = (braced ?? bare!).split(/\s*\?\?\s*/)
    return change(variables[name] ?? exchange.variable(name) ?? standIn)
  })
}

const silent = { debug() {}, info() {} }

class FakeClock implements Delays {
  now = Date.UTC(2026, 0, 1)
  readonly #waiting = new Map<Exchange, { due: number; go: () => void }>()

  get second(): number {
    return Math.floor(this.now / 1000)
  }

  advance(ms: number): void {
    this.now += ms
    for (const [exchange, { due }] of this.#waiting) if (due <= this.now) this.release(exchange)
  }

  wait(ms: number, exchange: Exchange): Promise<void> {
    return new Promise((go) => this.#waiting.set(exchange, { due: this.now + ms, go }))
  }

  release(exchange: Exchange): void {
    this.#waiting.get(exchange)?.go()
    this.#waiting.delete(exchange)
  }
}

/** Values of nodes that share them, here one. */
class FakeValues implements ValueStore {
  readonly #clock: FakeClock
  readonly #values = new Map<string, { value: string; until: number }>()

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  async get(key: string) {
    const found = this.#values.get(key)
    return found && this.#clock.now < found.until ? found.value : undefined
  }

  async set(key: string, value: string, ttlMs: number) {
    this.#values.set(key, { value, until: this.#clock.now + ttlMs })
  }

  async delete(key: string) {
    this.#values.delete(key)
  }
}

/** Counters of nodes that share them, here one. */
class FakeStore implements CounterStore {
  readonly #limiter: FakeLimiter
  readonly #present = new Map<string, Presence>()

  constructor(clock: FakeClock) {
    this.#limiter = new FakeLimiter(clock)
  }

  async acquire(key: string, window: LimitWindow, cost: number, kind: CostKind = 'whole') {
    const state = { remaining: 0, resetMs: 0 }
    if (this.#limiter.acquire(key, [window], cost, [state])) return { ...state, granted: cost }
    const granted = kind === 'some' ? state.remaining : 0
    if (granted > 0) this.#limiter.acquire(key, [window], granted, [state])
    return { ...state, granted }
  }

  async slide(key: string, window: LimitWindow, cost: number) {
    const state = { remaining: 0, resetMs: 0 }
    const granted = this.#limiter.slide(key, window, cost, state)
    return { ...state, granted: granted ? cost : 0 }
  }

  async leak(key: string, bucket: LimitBucket, cost: number) {
    return this.#limiter.leak(key, bucket, cost)
  }

  async enter(key: string, id: string, limit: number) {
    const presence = this.#limiter.enter(key, limit)
    if (presence) this.#present.set(`${key} ${id}`, presence)
    return presence?.count ?? 0
  }

  async leave(key: string, id: string) {
    this.#present.get(`${key} ${id}`)?.leave()
    this.#present.delete(`${key} ${id}`)
  }
}

class FakeLimiter implements Limiter {
  readonly #ends = new Map<string, number>()
  readonly #present = new Map<string, number>()
  readonly #spans = new Map<string, number>()
  readonly #clock: FakeClock
  readonly #windows = new Map<string, { count: number; end: number }>()

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  key(text: string): LimitKey {
    return { text }
  }

  acquire(key: string | LimitKey, windows: readonly LimitWindow[], cost: number, out: LimitState[]): boolean {
    const text = typeof key === 'string' ? key : key.text
    const open = windows.map((window, position) =>
      this.#open(`${text} ${position} ${window.windowMs}`, window),
    )
    const granted = open.every(({ count }, position) => count + cost <= windows[position]!.limit)
    for (const [position, state] of open.entries()) {
      if (granted) state.count += cost
      out[position]!.remaining = Math.max(0, windows[position]!.limit - state.count)
      out[position]!.resetMs = state.end - this.#clock.now
    }
    return granted
  }

  slide(key: string, { limit, windowMs }: LimitWindow, cost: number, out: LimitState): boolean {
    const span = Math.floor(this.#clock.now / windowMs)
    const rest = (span + 1) * windowMs - this.#clock.now
    const count = this.#spans.get(`${key} ${span}`) ?? 0
    const last = Math.min(limit, this.#spans.get(`${key} ${span - 1}`) ?? 0)
    const overlap = (last * rest) / windowMs
    const granted = count < limit && count + overlap < limit
    if (granted) this.#spans.set(`${key} ${span}`, count + cost)
    out.remaining = granted ? Math.max(0, Math.floor(limit - count - cost - overlap)) : 0
    out.resetMs = granted || count >= limit ? rest : Math.max(0, rest - ((limit - count) * windowMs) / last)
    return granted
  }

  leak(key: string, { perMs, burst }: LimitBucket, cost: number): number {
    const { now } = this.#clock
    const wait = Math.max(0, (this.#ends.get(key) ?? 0) - now)
    if (wait > burst / perMs) return burst / perMs - wait
    this.#ends.set(key, now + wait + cost / perMs)
    return wait
  }

  enter(key: string, limit: number): Presence | null {
    const count = (this.#present.get(key) ?? 0) + 1
    if (count > limit) return null
    this.#present.set(key, count)
    return { count, leave: () => this.#present.set(key, this.#present.get(key)! - 1) }
  }

  #open(key: string, { windowMs }: LimitWindow): { count: number; end: number } {
    const known = this.#windows.get(key)
    if (known && known.end > this.#clock.now) return known
    const opened = { count: 0, end: this.#clock.now + windowMs }
    this.#windows.set(key, opened)
    return opened
  }
}

interface FakeSeries {
  readonly metric: string
  readonly labels: string
  count: number
  sum: number
  readonly histogram: boolean
}

class FakeMetrics {
  readonly #series: FakeSeries[] = []

  gauge(metric: string, help: string, labelNames: readonly string[]) {
    return this.counter(metric, help, labelNames)
  }

  counter(metric: string, _help: string, labelNames: readonly string[]) {
    return {
      slot: (values: readonly string[]) => this.#slot(metric, labelNames, values, false),
      add: (slot: number, amount: number) => {
        this.#series[slot]!.sum += amount
      },
    }
  }

  histogram(metric: string, _help: string, labelNames: readonly string[], _buckets: readonly number[]) {
    return {
      slot: (values: readonly string[]) => this.#slot(metric, labelNames, values, true),
      observe: (slot: number, value: number) => {
        this.#series[slot]!.count++
        this.#series[slot]!.sum += value
      },
    }
  }

  totals(): Record<string, number> {
    const totals: Record<string, number> = {}
    const add = (name: string, amount: number) => {
      totals[name] = (totals[name] ?? 0) + amount
    }
    for (const { metric, histogram, count, sum } of this.#series) {
      if (histogram) add(`${metric}_count`, count)
      add(histogram ? `${metric}_sum` : metric, sum)
    }
    return totals
  }

  series(): string[] {
    return this.#series.map(
      ({ metric, labels, histogram, count, sum }) =>
        `${metric}{${labels}} ${histogram ? `count=${count} sum=${sum}` : sum}`,
    )
  }

  #slot(metric: string, names: readonly string[], values: readonly string[], histogram: boolean): number {
    if (names.length !== values.length) throw new Error(`${metric} takes ${names.length} labels`)
    const labels = names.map((name, position) => `${name}="${values[position]}"`).join(',')
    const known = this.#series.findIndex((series) => series.metric === metric && series.labels === labels)
    if (known !== -1) return known
    return this.#series.push({ metric, labels, count: 0, sum: 0, histogram }) - 1
  }
}

function protoSpec(id: string, content: string): ProtoSpec {
  const read = readProto(content)
  if ('problem' in read) throw new Error(read.problem)
  return { id, ...read.definitions }
}
