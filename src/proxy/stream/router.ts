/**
 * Which stream route takes a session, as in APISIX: routes for the name that was asked for in TLS come first, an exact one
 * before wildcards and a longer wildcard before a shorter one; then the others. Of equals, the first of the configuration.
 */
import type { StreamRouteSpec } from '../../config/plan.ts'
import { AddressSet } from '../addresses.ts'

/** What is known of a session when it comes in. */
export interface Arrival {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly localPort: number
  /** That the client asked for in TLS, lower case; empty: none. */
  readonly serverName: string
}

/** The condition that a session does not meet. */
export type StreamLoss = 'sni' | 'port' | 'remote' | 'local'

export interface ConsideredStream<T> {
  readonly value: T
  /** None: it takes the session. */
  readonly losses: readonly StreamLoss[]
}

type Conditions = Pick<StreamRouteSpec, 'position' | 'remote_addr' | 'server_addr' | 'server_port' | 'sni'>

interface Candidate<T> {
  readonly value: T
  readonly remote: AddressSet | null
  readonly local: AddressSet | null
  readonly port: number
}

/** Made anew with each change: there are as many routes as there are ports, and few names. */
export class StreamRouter<T> {
  private readonly exact = new Map<string, Candidate<T>[]>()
  /** By what follows the `*`; longest first. */
  private readonly wildcards: (readonly [rest: string, candidates: Candidate<T>[]])[]
  private readonly others: readonly Candidate<T>[]
  /** Of `others`, those that take sessions of a port. As many as there were listeners. */
  private readonly byPort = new Map<number, readonly Candidate<T>[]>()

  constructor(routes: Iterable<{ readonly route: Conditions; readonly value: T }>) {
    const wildcards = new Map<string, Candidate<T>[]>()
    const others: Candidate<T>[] = []
    for (const { route, value } of [...routes].sort((a, b) => a.route.position - b.route.position)) {
      const { remote_addr: remote, server_addr: local, server_port: port = 0, sni } = route
      const candidate = { value, remote: setOf(remote), local: setOf(local), port }
      if (sni === undefined) others.push(candidate)
      else if (sni.startsWith('*')) listAt(wildcards, sni.slice(1)).push(candidate)
      else listAt(this.exact, sni).push(candidate)
    }
    this.others = others
    this.wildcards = [...wildcards].sort(([a], [b]) => b.length - a.length)
  }

  /** Whether names that are asked for in TLS make a difference. */
  get looksAtNames(): boolean {
    return this.exact.size > 0 || this.wildcards.length > 0
  }

  match(arrival: Arrival): T | null {
    const { serverName } = arrival
    if (serverName !== '') {
      const found = firstOf(this.exact.get(serverName), arrival) ?? this.matchWildcard(arrival)
      if (found !== null) return found
    }
    return firstOf(this.ofPort(arrival.localPort), arrival)
  }

  /** What `match` looks at, and what it need not look at because of its name, in this order, up to the one that it finds. */
  explain(arrival: Arrival): ConsideredStream<T>[] {
    const { serverName } = arrival
    const considered: ConsideredStream<T>[] = []
    const look = (candidates: readonly Candidate<T>[], isAsked: boolean) =>
      candidates.some((candidate) => {
        const losses: StreamLoss[] = [...(isAsked ? [] : (['sni'] as const)), ...lossesOf(candidate, arrival)]
        considered.push({ value: candidate.value, losses })
        return losses.length === 0
      })
    const isFound =
      [...this.exact].some(([name, candidates]) => look(candidates, name === serverName)) ||
      this.wildcards.some(([rest, candidates]) => look(candidates, serverName.endsWith(rest)))
    if (!isFound) look(this.others, true)
    return considered
  }

  private matchWildcard(arrival: Arrival): T | null {
    for (const [rest, candidates] of this.wildcards) {
      if (!arrival.serverName.endsWith(rest)) continue
      const found = firstOf(candidates, arrival)
      if (found !== null) return found
    }
    return null
  }

  private ofPort(port: number): readonly Candidate<T>[] {
    let found = this.byPort.get(port)
    if (found === undefined) {
      found = this.others.filter((candidate) => candidate.port === 0 || candidate.port === port)
      this.byPort.set(port, found)
    }
    return found
  }
}

function firstOf<T>(candidates: readonly Candidate<T>[] | undefined, arrival: Arrival): T | null {
  if (candidates === undefined) return null
  for (const { value, remote, local, port } of candidates) {
    if (port !== 0 && port !== arrival.localPort) continue
    if (remote !== null && !remote.has(arrival.remoteAddress)) continue
    if (local === null || local.has(arrival.localAddress)) return value
  }
  return null
}

function lossesOf({ remote, local, port }: Candidate<unknown>, arrival: Arrival): StreamLoss[] {
  const losses: StreamLoss[] = []
  if (port !== 0 && port !== arrival.localPort) losses.push('port')
  if (remote !== null && !remote.has(arrival.remoteAddress)) losses.push('remote')
  if (local !== null && !local.has(arrival.localAddress)) losses.push('local')
  return losses
}

const setOf = (address: string | undefined) => (address === undefined ? null : new AddressSet([address]))

function listAt<T>(lists: Map<string, T[]>, key: string): T[] {
  let list = lists.get(key)
  if (list === undefined) {
    list = []
    lists.set(key, list)
  }
  return list
}
