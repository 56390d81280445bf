/** What the gateway offers a policy. Every service here can be faked: see `testing.ts`. */
import type { ContractSpec, PluginConfig, ProtoSpec } from '../../config/plan.ts'
import type { PrometheusSettings } from '../../config/prometheus-settings.ts'
import type {
  BindingInfo,
  Consumer,
  Exchange,
  PolicyBindingContext,
  PolicyHandlers,
  SubrequestAnswer,
  SubrequestFailure,
  SubrequestHead,
  UpstreamHandle,
  Verdict,
} from '../../proxy/exchange.ts'
import type { CacheStore, EntryWriter, StoredEntry } from '../../proxy/shared/cache-store.ts'
import type { CircuitRule } from '../../proxy/shared/circuits.ts'
import type { Presence } from '../../proxy/shared/presences.ts'
import type { CallClient, CallOptions } from './calls.ts'
import type { FoundCredential } from './credentials.ts'
import type { OwnFunction } from './functions/own-function.ts'
import type { CounterStore } from './limits/counter-store.ts'
import type { StoreUse } from './limits/counter-stores.ts'
import type { RedisTarget } from './limits/redis-target.ts'
import type { ValueStore } from './limits/value-store.ts'
import type { BatchSettings } from './logging/batch-processor.ts'

/** Handed to `create` once for each binding of a policy. */
export interface PolicyHost<Credential = unknown, Metadata = unknown> {
  /** Where this configuration stands: its route, its service, and the resource that holds it. */
  readonly binding: PolicyBindingContext
  /** The `plugin_metadata` of this policy, when there is one. */
  readonly metadata: Metadata | undefined
  /**
   * The credentials of all consumers for this policy, looked up by `keyOf`. The index is shared by every binding that
   * hands in the same function, so declare the function beside the policy, not inside `create`.
   * A credential whose key is undefined cannot be found.
   */
  credentials(keyOf: (credential: Credential) => string | undefined): CredentialLookup<Credential>
  /**
   * An upstream that `exchange.sendTo` takes: one of the plan, by its id or key, or one that stands in this policy's
   * configuration at a path, in a field with the schema `inlineUpstream`. It is checked, balanced, watched and counted as
   * any other.
   */
  upstream(
    where: { id: string | number } | { key: string } | { path: readonly (string | number)[] },
  ): UpstreamHandle
  readonly consumers: ConsumerLookup
  readonly contracts: ContractLookup
  /** Definitions of gRPC messages of the current plan; undefined: there are none of that id. */
  proto(id: string | number): ProtoSpec | undefined
  readonly limiter: Limiter
  /** Counters that nodes share; the connection is opened with the first decision. */
  counterStore(target: RedisTarget, use?: StoreUse): CounterStore
  /** Values that nodes share; the connection is opened with the first of them. */
  valueStore(target: RedisTarget): ValueStore
  /** What breaks after bad answers; known to all threads. */
  readonly circuits: Circuits
  /**
   * @param name begins with `NAME:` and the owner of the binding
   * @returns the next turn of that counter, which all threads share: from 0 to 2^31 - 1, and on from 0
   */
  takeTurn(name: string): number
  /** Requests that wait before they go on. */
  readonly delays: Delays
  /** A zone for answers, by its name; undefined: it cannot be used. */
  cache(zone: string): StoredAnswers | undefined
  readonly metrics: Metrics
  /** How the operator wants metrics to be labelled. */
  readonly prometheus: PrometheusSettings
  /** What the gateway shows of itself to clients, by its path; undefined: nothing stands there. */
  publicApi(path: string): PublicApi | undefined
  /** This policy's configuration on a route, wherever it is bound; undefined: it is not, or there is no such route. */
  configOf(routeId: string): PluginConfig | undefined
  /**
   * Opens a batch processor: what is pushed goes to `send` in batches, and is counted whatever becomes of it.
   * @param maxPending entries that all batches of this policy on this thread may hold
   */
  batches<Entry>(
    settings: BatchSettings,
    maxPending: number,
    send: (entries: readonly Entry[]) => Promise<void>,
  ): EntryBatch<Entry>
  /** Who says all that: host name and version of the gateway. */
  readonly gateway: { readonly hostname: string; readonly version: string }
  /** Opens a sink once; every binding that names the same target shares it. */
  lines(target: LineTarget): LineSink
  /** A getter for one APISIX variable (`remote_addr`, `http_user_agent`, `arg_page`); undefined: not there. */
  variable(name: string): (exchange: Exchange) => string | undefined
  /**
   * Has the body of each request read before the policy runs; then `request.heldBody(limit)` gives it, or null when it is
   * larger. Variables and conditions that are read from the body ask for it by themselves. A policy that comes with a
   * consumer gets a body only where the route has one held too.
   * @param limit bytes
   */
  holdBody(limit: number): void
  /**
   * A text with `$name`, `${name}` and `${name ?? default}` references, filled with one character a byte; absent variables
   * become empty. `change` is applied to every value that is filled in.
   */
  template(text: string, change?: (value: string) => string): (exchange: Exchange) => string
  /** A condition as `vars` of a route has it; the check has said that it is one, see `conditionFinding`. */
  condition(vars: unknown): (exchange: Exchange) => boolean
  /**
   * Sets another policy up in this one's place; its configuration is one of those that `nested` gave. What it counts is
   * apart from what the same policy counts under another `part`.
   */
  bind(policy: string, config: PluginConfig, part?: string): PolicyHandlers
  /**
   * A function that the operator wrote, by what stands for it in a field with the annotation `x-function`. @throws Error when
   * there is none
   */
  ownFunction(key: string): OwnFunction
  /** Calls to another service, over connections that belong to this binding. */
  calls(options: CallOptions): CallClient
  /**
   * Asks this gateway itself in the name of the client of `exchange`, as if that client had sent it: it is routed, judged,
   * counted and logged as any other request. One at a time for each exchange, with which it ends.
   */
  subrequest(exchange: Exchange, head: SubrequestHead): Promise<SubrequestAnswer | SubrequestFailure>
  /** Whether other services may be asked by other means than `calls`: not while a request is only explained. */
  readonly mayAsk: boolean
  /** The port at which clients reach this gateway with https. */
  httpsPort(): number
  readonly log: PolicyLog
  /** Wall clock, epoch milliseconds. */
  now(): number
}

export interface CredentialLookup<Credential = unknown> {
  /** `presented` as it came in, one character a byte. Takes the same time whether or not it is known. */
  find(presented: string): FoundCredential<Credential> | undefined
}

export interface ConsumerLookup {
  find(username: string): Consumer | undefined
}

export interface ContractLookup {
  /** The consumer's contract for the API of that binding; the most particular one: route, then service, then every API. */
  find(username: string, binding: BindingInfo): ContractSpec | undefined
  /** True when any contract names the API of that binding, or every API. */
  governs(binding: BindingInfo): boolean
}

export interface LimitWindow {
  /** Largest sum of costs in one window. */
  readonly limit: number
  /** A window opens with the first request that is counted in it. */
  readonly windowMs: number
}

export interface LimitState {
  remaining: number
  /** Until the window ends. */
  resetMs: number
}

/** A key that is made once, so that counting under it again costs less. */
export interface LimitKey {
  readonly text: string
}

/** What is let through at once, and what then drains with time. */
export interface LimitBucket {
  /** Cost that drains in a millisecond. */
  readonly perMs: number
  /** Largest level at which more is still taken. */
  readonly burst: number
}

export type { CacheStore, EntryWriter, Presence, StoredEntry }

/** A zone that all threads share. */
export interface StoredAnswers {
  readonly store: CacheStore
  /** Milliseconds that an answer is fresh which does not say it itself. */
  readonly ttl: number
}

export interface Delays {
  /**
   * Resolves after that many milliseconds, or as soon as the exchange is released. Undefined: too many wait already. One
   * wait at a time for each exchange; whoever waits hands the exchange to `release` in `observe`.
   */
  wait(ms: number, exchange: Exchange): Promise<void> | undefined
  release(exchange: Exchange): void
}

/** Limits that are exact across all threads of the process. Keys begin with `NAME:` and the owner of the binding. */
export interface Limiter {
  /** For a key that comes again and again, such as that of a contract: hand it to `acquire` in place of its text. */
  key(text: string): LimitKey
  /**
   * Counts `cost` in every window of `key` when all have room; else in none, and answers false.
   * `out` needs one entry for each window and is filled in place. At most eight windows.
   */
  acquire(key: string | LimitKey, windows: readonly LimitWindow[], cost: number, out: LimitState[]): boolean
  /**
   * The same in one sliding window, estimated from two spans of its length; passes while the estimate is below the limit.
   * After a rejection `resetMs` says when there is room.
   */
  slide(key: string, window: LimitWindow, cost: number, out: LimitState): boolean
  /**
   * Adds `cost` to a leaky bucket unless its level is above `burst`.
   * @returns milliseconds until what was in it has drained; below 0: rejected, and room again after that many
   */
  leak(key: string, bucket: LimitBucket, cost: number): number
  /** Counts a request that is under way with the key until it leaves; null: there are `limit` already. */
  enter(key: string, limit: number): Presence | null
}

export type { CircuitRule }

/** By key, which begins with `NAME:` and the owner of the binding. Of many bad keys, the oldest are forgotten. */
export interface Circuits {
  isBroken(key: string, rule: CircuitRule): boolean
  failed(key: string, rule: CircuitRule): void
  succeeded(key: string, rule: CircuitRule): void
}

/** Series are found once by their label values and then addressed by slot, so that counting is one addition. */
export interface Metrics {
  /** What there is at the moment: `add` counts up and down. */
  gauge(name: string, help: string, labelNames: readonly string[]): Counter
  counter(name: string, help: string, labelNames: readonly string[]): Counter
  histogram(name: string, help: string, labelNames: readonly string[], buckets: readonly number[]): Histogram
}

/** Answers a request in place of an upstream. */
export type PublicApi = (exchange: Exchange) => Promise<Verdict>

export interface Counter {
  slot(labelValues: readonly string[]): number
  add(slot: number, amount: number): void
}

export interface Histogram {
  slot(labelValues: readonly string[]): number
  observe(slot: number, value: number): void
}

/**
 * `soon`: lines of a file are written at once rather than collected for a fraction of a second; `ahead`: it is opened
 * before the first one.
 */
export type LineTarget = { type: 'stdout' } | { type: 'file'; path: string; soon?: boolean; ahead?: boolean }

export interface EntryBatch<Entry> {
  /**
   * Never blocks; what there is no room for is dropped and counted.
   * @param bytes about as many as the entry takes
   */
  push(entry: Entry, bytes: number, exchange: Exchange): void
}

export interface LineSink {
  /** One complete line, without its end. Never blocks; what the sink cannot hold is dropped and counted. */
  write(line: string): void
}

export interface PolicyLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
