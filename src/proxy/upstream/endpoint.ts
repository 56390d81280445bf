/** One node of an upstream: its addresses, its pool of idle connections, and how many are in use. */
import type { NodeSpec } from '../../config/plan.ts'

/** What a pool needs of a connection; the engines know more. */
export interface PooledConnection {
  readonly address: string
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

export class Endpoint<C extends PooledConnection = PooledConnection> {
  readonly host: string
  readonly port: number
  weight: number
  readonly priority: number
  /** `host:port` as configured, for logs, metrics and `pass_host: node`. */
  readonly label: string
  /** What `pass_host: node` puts into Host: with the port unless it is the standard one. */
  readonly hostField: string
  limits: PoolLimits
  /** Requests that this thread has under way at this endpoint. */
  active = 0

  private addresses: readonly string[]
  private nextAddress = 0
  private readonly idle: C[] = []
  private retired = false

  constructor(spec: NodeSpec, addresses: readonly string[], limits: PoolLimits) {
    this.host = spec.host
    this.port = spec.port
    this.weight = spec.weight
    this.priority = spec.priority
    this.label = hostPort(spec.host, spec.port)
    this.hostField = spec.port === 80 ? bracketed(spec.host) : this.label
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

  /** Whether it takes traffic while others do. */
  get usable(): boolean {
    return true
  }

  /** The address for the next connection, in turn; undefined when the name does not resolve. */
  address(): string | undefined {
    if (this.addresses.length === 0) return undefined
    this.nextAddress = (this.nextAddress + 1) % this.addresses.length
    return this.addresses[this.nextAddress]
  }

  /** Idle connections to addresses that are gone are closed; those in use finish. */
  setAddresses(addresses: readonly string[]): void {
    this.addresses = addresses
    for (let i = this.idle.length - 1; i >= 0; i--) {
      const connection = this.idle[i] as C
      if (addresses.includes(connection.address)) continue
      this.idle.splice(i, 1)
      connection.discard()
    }
  }

  /** The idle connection used last, because it is the least likely to have been closed meanwhile. */
  checkout(): C | undefined {
    return this.idle.pop()
  }

  /** Takes a connection back. @returns false when it must be closed instead */
  checkin(connection: C): boolean {
    if (this.retired || this.idle.length >= this.limits.size || connection.served >= this.limits.requests)
      return false
    if (!this.addresses.includes(connection.address)) return false
    this.idle.push(connection)
    return true
  }

  /** An idle connection ended by itself. */
  forget(connection: C): void {
    const at = this.idle.lastIndexOf(connection)
    if (at >= 0) this.idle.splice(at, 1)
  }

  /** The endpoint left the configuration: idle connections close now, the others when their request is over. */
  retire(): void {
    this.retired = true
    for (const connection of this.idle.splice(0)) connection.discard()
  }
}

function hostPort(host: string, port: number): string {
  return `${bracketed(host)}:${port}`
}

/** RFC 3986 section 3.2.2: an IPv6 address stands in brackets. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
