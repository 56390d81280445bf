/** One node of an upstream: its addresses, its pool of idle connections, and how many are in use. */
import { type NodeSpec, type Scheme, speaksHttp2, standardPorts } from '../../config/plan.ts'
import { clock } from '../clock.ts'
import type { SessionPool } from '../http2/session-pool.ts'
import { sharedTime } from '../shared/clock.ts'
import { type LoadCell, loadSum } from '../shared/load-table.ts'
import type { UpstreamTls } from '../tls/upstream-tls.ts'
import { type PoolSize, poolName } from './connection-pools.ts'
import { noSlot } from './health/table.ts'
import type { UpstreamHealth } from './health/upstream-health.ts'

/** What a pool needs of a connection; the engines know more. */
export interface PooledConnection {
  readonly address: string
  /** Null: it is not encrypted. */
  readonly tls: UpstreamTls | null
  /**
   * What it was opened for, beside its endpoint: the name that the server was asked by in TLS, and the client that it was
   * told. Never used for anything else.
   */
  readonly purpose: string
  /** It was opened for one client, whom it was told. */
  readonly isPersonal: boolean
  /** Requests that it has carried. */
  readonly served: number
  /** Ends an idle connection. */
  discard(): void
}

export interface PoolLimits {
  /** Idle connections kept per endpoint and thread. */
  size: number
  /** Milliseconds. */
  idleTimeout: number
  /** Requests after which a connection is not used again. */
  requests: number
}

/** Even a cold endpoint takes something, or it would never get warm. */
const leastWarmth = 0.1

export class Endpoint<C extends PooledConnection = PooledConnection> {
  readonly host: string
  readonly port: number
  weight: number
  readonly priority: number
  /** `host:port` as configured, for logs, metrics and `pass_host: node`. */
  readonly label: string
  /** What `pass_host: node` puts into Host: with the port unless it is the standard one. */
  hostField: string
  limits: PoolLimits
  /** Requests that this thread has under way at this endpoint. */
  active = 0
  /** What all threads know together about its load, where somebody wants to know. */
  load: LoadCell | null = null
  /** Milliseconds for which it takes less than its weight after it began; 0: it does not. */
  slowStart = 0
  /** Parts of turns that it has taken and not yet used while it warms up. */
  credit = 0

  /** Null: connections are not encrypted. */
  tls: UpstreamTls | null = null
  /** When a failure was last told, on the clock of this thread, and how many since were not. */
  failureToldAt = Number.NEGATIVE_INFINITY
  untoldFailures = 0

  /** Connections that carry several requests at a time; null: there was none yet. */
  sessions: SessionPool | null = null

  private addresses: readonly string[]
  private nextAddress = 0
  private readonly idle: C[] = []
  private retired = false
  private isHttp2 = false
  private health: UpstreamHealth | null = null
  /** Of each address, in the table of health. */
  private slots: readonly number[] = []
  /** On the clock of all threads; 0: it was there from the start. */
  private readonly joinedAt: number

  constructor(spec: NodeSpec, addresses: readonly string[], limits: PoolLimits, joinedAt = 0) {
    this.joinedAt = joinedAt
    this.host = spec.host
    this.port = spec.port
    this.weight = spec.weight
    this.priority = spec.priority
    this.label = endpointLabel(spec)
    this.hostField = this.hostWithout(80)
    this.addresses = addresses
    this.limits = limits
  }

  /**
   * What consistent hashing knows it by. APISIX hashes addresses; a name stands for itself while it leads to several, so
   * that its keys stay when they change.
   */
  get ringId(): string {
    return this.addresses.length === 1 ? hostPort(this.addresses[0]!, this.port) : this.label
  }

  get knownAddresses(): readonly string[] {
    return this.addresses
  }

  /** False: it is a name that leads nowhere. */
  get isResolved(): boolean {
    return this.addresses.length > 0
  }

  /** Whether it takes traffic while others do. */
  get usable(): boolean {
    return this.health === null || this.health.panicking || this.isUp
  }

  /** Whether any of its addresses is neither unhealthy nor ejected. */
  get isUp(): boolean {
    const { health, slots } = this
    if (health === null) return true
    for (let i = 0; i < slots.length; i++) if (health.isUsable(slots[i]!)) return true
    return false
  }

  /** Whose word counts for whether it is usable; null: it always is. */
  watch(health: UpstreamHealth | null): void {
    this.health = health
    this.slots = health === null ? [] : this.addresses.map((address) => health.slotOf(address, this.port))
  }

  /** In the table of health; `noSlot` for an address that it has not any more. */
  slotOf(address: string): number {
    return this.retired ? noSlot : (this.slots[this.addresses.indexOf(address)] ?? noSlot)
  }

  /** Share of its weight that it takes, from 0 to 1. */
  get warmth(): number {
    if (this.slowStart === 0) return 1
    const began = this.health === null ? this.joinedAt : this.health.upSince(this.slots, this.joinedAt)
    const age = sharedTime(clock.now) - began
    return age >= this.slowStart ? 1 : Math.max(leastWarmth, age / this.slowStart)
  }

  /** Requests that all threads have under way, as far as they tell each other. */
  get underWay(): number {
    return this.load === null ? this.active : this.load.sum(loadSum.requests)
  }

  /** An attempt begins. */
  enter(): void {
    this.active++
    if (this.load !== null) this.load.add(loadSum.requests, 1)
  }

  /** It is over. */
  leave(): void {
    this.active--
    if (this.load !== null) this.load.add(loadSum.requests, -1)
  }

  /** From now on the load is told in this cell. */
  track(load: LoadCell): void {
    this.load = load
    load.add(loadSum.requests, this.active)
  }

  /**
   * The address for the next connection: in turn, those that are not unhealthy before those that are. Undefined when the
   * name does not resolve.
   */
  address(): string | undefined {
    const { addresses, health, slots } = this
    if (addresses.length === 0) return undefined
    this.nextAddress = (this.nextAddress + 1) % addresses.length
    if (health === null || addresses.length === 1) return addresses[this.nextAddress]
    for (let looked = 0; looked < addresses.length; looked++) {
      const at = (this.nextAddress + looked) % addresses.length
      if (!health.isUsable(slots[at] ?? noSlot)) continue
      this.nextAddress = at
      break
    }
    return addresses[this.nextAddress]
  }

  /** Idle connections to addresses that are gone are closed; those in use finish. */
  setAddresses(addresses: readonly string[]): void {
    this.addresses = addresses
    this.watch(this.health)
    for (let i = this.idle.length - 1; i >= 0; i--) {
      const connection = this.idle[i] as C
      if (addresses.includes(connection.address)) continue
      this.idle.splice(i, 1)
      connection.discard()
    }
    this.sessions?.retain(addresses)
  }

  /** How it is spoken to from now on. Idle connections of another kind are closed. */
  secure(tls: UpstreamTls | null, scheme: Scheme): void {
    this.hostField = this.hostWithout(standardPorts[scheme])
    const isHttp2 = speaksHttp2(scheme)
    if (tls === this.tls && isHttp2 === this.isHttp2) return
    this.tls = tls
    this.isHttp2 = isHttp2
    this.dropPools()
  }

  /**
   * The idle connection used last, because it is the least likely to have been closed meanwhile.
   * @param purpose of the connection
   */
  checkout(purpose: string): C | undefined {
    const { idle } = this
    if (idle.length === 0 || idle[idle.length - 1]!.purpose === purpose) return idle.pop()
    const at = idle.findLastIndex((connection) => connection.purpose === purpose)
    return at === -1 ? undefined : idle.splice(at, 1)[0]
  }

  /** Takes a connection back. @returns false when it must be closed instead */
  checkin(connection: C): boolean {
    if (connection.served >= this.limits.requests || !this.keeps(connection)) return false
    if (this.idle.length >= this.limits.size && !(connection.isPersonal && this.dropOldest())) return false
    this.idle.push(connection)
    return true
  }

  /** A connection would be opened in the same way today. */
  keeps({ tls, address }: { tls: UpstreamTls | null; address: string }): boolean {
    return !this.retired && tls === this.tls && this.addresses.includes(address)
  }

  /** Ends the idle connection that was used longest ago. @returns false when there is none */
  dropIdle(): boolean {
    return this.dropOldest() || this.sessions?.dropIdle() === true
  }

  /** The pool of connections for a purpose, as breakers know it. */
  poolFor(purpose: string): string {
    return poolName(endpointIdentity(this), purpose)
  }

  /** Ends the connections of a pool that carries nothing. @returns false when each one does */
  dropIdlePool(size: PoolSize): boolean {
    for (const [purpose, idle] of Map.groupBy(this.idle, (connection) => connection.purpose)) {
      if (idle.length < size(this.poolFor(purpose))) continue
      for (const connection of idle) {
        this.forget(connection)
        connection.discard()
      }
      return true
    }
    return this.sessions?.dropIdlePool((purpose) => size(this.poolFor(purpose))) === true
  }

  private dropOldest(): boolean {
    const oldest = this.idle.shift()
    oldest?.discard()
    return oldest !== undefined
  }

  /** An idle connection ended by itself. */
  forget(connection: C): void {
    const at = this.idle.lastIndexOf(connection)
    if (at >= 0) this.idle.splice(at, 1)
  }

  /** What stands in Host: its port only where it is another one than that of the scheme. */
  private hostWithout(standardPort: number): string {
    return this.port === standardPort ? bracketed(this.host) : this.label
  }

  /** The endpoint left the configuration: idle connections close now, the others when their request is over. */
  retire(): void {
    this.retired = true
    this.dropPools()
  }

  private dropPools(): void {
    for (const connection of this.idle.splice(0)) connection.discard()
    this.sessions?.discard()
  }
}

/** `host:port`, an IPv6 address in brackets. */
export function endpointLabel({ host, port }: { host: string; port: number }): string {
  return hostPort(host, port)
}

export function hostPort(host: string, port: number): string {
  return `${bracketed(host)}:${port}`
}

/** RFC 3986 section 3.2.2: an IPv6 address stands in brackets. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** What tells the endpoints of an upstream apart; with the key of the upstream, what tells all apart. */
export function endpointIdentity(node: { host: string; port: number; priority: number }): string {
  return `${node.host} ${node.port} ${node.priority}`
}
