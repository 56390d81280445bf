/** An upstream whose endpoints are watched. In the control thread. */
import { equal } from '../../../config/copy.ts'
import type { ActiveCheckSpec, OutlierEjectionSpec } from '../../../config/health-checks.ts'
import { type NodeSpec, standardPorts, type UpstreamSpec } from '../../../config/plan.ts'
import type { Whereabout } from '../../whereabouts.ts'
import type { UpstreamSlots } from './slots.ts'
import { noSlot } from './table.ts'
import { type EndpointHealth, type Surroundings, Target, type TargetOwner } from './target.ts'

export interface UpstreamHealthStatus {
  /** `upstream:1`, `service:2`, `route:3`. */
  key: string
  /** Of the active check; undefined where there is none. */
  type: ActiveCheckSpec['type'] | undefined
  /** So few endpoints are usable that all are used. */
  panicking: boolean
  endpoints: EndpointHealth[]
}

/** How long the state of an endpoint outlives it in the configuration, as in APISIX. */
const keptMs = 10_000

export class WatchedUpstream implements TargetOwner {
  readonly slot: number
  ejection: OutlierEjectionSpec | undefined
  panicking = false

  readonly #surroundings: Surroundings
  /** Those of the configuration that is in use, and of one that is about to be. */
  readonly #targets = new Map<string, Target>()
  /** Those that are gone, with when their state is dropped. */
  readonly #leaving = new Map<string, { target: Target; until: number }>()
  #spec: UpstreamSpec
  #check: ActiveCheckSpec | undefined
  #probing = 0
  /** In the order in which they became due. */
  readonly #waiting = new Set<Target>()
  #seenChanges = 0
  #hasEjected = false

  /** @param slot of the upstream itself */
  constructor(spec: UpstreamSpec, slot: number, surroundings: Surroundings) {
    this.#spec = spec
    this.slot = slot
    this.#surroundings = surroundings
  }

  get key(): string {
    return this.#spec.key
  }

  get proxyProtocol(): UpstreamSpec['proxy_protocol'] {
    return this.#spec.proxy_protocol
  }

  /** Gives every endpoint of a configuration to come its slot. */
  admit(spec: UpstreamSpec): void {
    for (const { key, address, port } of this.#wanted(spec)) {
      if (this.#targets.has(key)) continue
      const target = this.#leaving.get(key)?.target ?? this.#newTarget(address, port)
      if (target === undefined) return
      this.#leaving.delete(key)
      this.#targets.set(key, target)
    }
  }

  /** From now on the endpoints are those of `spec`. */
  follow(spec: UpstreamSpec): void {
    this.#spec = spec
    this.ejection = spec.outlier_ejection
    if (!equal(this.#check, spec.checks?.active)) this.#check = spec.checks?.active
    this.admit(spec)
    const wanted = new Map(this.#wanted(spec).map(({ key, host }) => [key, host]))
    // Spread evenly, from a moment by chance on: those of one upstream and of several gateways are not all due together.
    let phase = this.#surroundings.random()
    for (const [key, target] of this.#targets) {
      const host = wanted.get(key)
      if (host === undefined) this.#retire(key, target)
      else target.check(this.#check, host, phase)
      phase = (phase + 1 / this.#targets.size) % 1
    }
    this.look()
  }

  /** It is not in the configuration any more. */
  leave(): void {
    for (const [key, target] of this.#targets) this.#retire(key, target)
  }

  /** @returns true when data threads need other slots now */
  moved(change: Whereabout): boolean {
    const { discovery } = this.#spec
    const isMeant =
      change.type === 'nodes'
        ? discovery?.key === change.service
        : this.#nodes(this.#spec).some(({ host }) => host === change.host)
    if (!isMeant) return false
    const before = [...this.#targets.keys()].join()
    this.follow(this.#spec)
    return before !== [...this.#targets.keys()].join()
  }

  slots(): UpstreamSlots {
    const endpoints = Array.from(
      this.#targets.values(),
      ({ address, port, slot }) => [address, port, slot] as const,
    )
    return { upstream: this.key, slot: this.slot, endpoints }
  }

  /** Looks at what data threads reported, and drops what has been kept for long enough. */
  look(): void {
    const { table, now, pool } = this.#surroundings
    table.settle(this.slot)
    const changes = table.changes(this.slot)
    if (changes !== this.#seenChanges || this.#hasEjected) this.#lookAtTargets()
    if (changes !== this.#seenChanges) this.#lookForPanic()
    this.#seenChanges = changes
    for (const [key, { target, until }] of this.#leaving) {
      if (now() < until) continue
      this.#leaving.delete(key)
      table.wipe(target.slot)
      pool.give(target.slot)
    }
  }

  /** After `leave`: nothing is kept any more. Then its own slot is given back too. */
  isGone(): boolean {
    this.look()
    if (this.#targets.size + this.#leaving.size > 0) return false
    this.#surroundings.table.wipe(this.slot)
    this.#surroundings.pool.give(this.slot)
    return true
  }

  mayProbe(target: Target): boolean {
    if (this.#probing < (this.#check?.concurrency ?? 0)) {
      this.#probing++
      return true
    }
    this.#waiting.add(target)
    return false
  }

  giveUp(target: Target): void {
    this.#waiting.delete(target)
  }

  probed(): void {
    this.#probing--
    if (this.#waiting.size === 0) return
    const next = this.#waiting.values().next().value as Target
    this.#waiting.delete(next)
    this.#probing++
    next.begin()
  }

  /** @returns how many endpoints had something to forget */
  forgetState(): number {
    return [...this.#targets.values()].filter((target) => target.forgetState()).length
  }

  /** @returns how many were ejected */
  endEjections(): number {
    return [...this.#targets.values()].filter((target) => target.endEjection()).length
  }

  status(): UpstreamHealthStatus {
    const endpoints = Array.from(this.#targets.values(), (target) => target.status())
    return { key: this.key, type: this.#check?.type, panicking: this.panicking, endpoints }
  }

  close(): void {
    for (const target of this.#targets.values()) target.stop()
  }

  #newTarget(address: string, port: number): Target | undefined {
    const { pool, log } = this.#surroundings
    const slot = pool.take()
    if (slot === undefined) {
      log.error({ upstream: this.key }, 'the table of health is full: endpoints are used without looking')
      return undefined
    }
    return new Target(this, this.#surroundings, address, port, slot)
  }

  #retire(key: string, target: Target): void {
    target.stop()
    this.#targets.delete(key)
    this.#leaving.set(key, { target, until: this.#surroundings.now() + keptMs })
  }

  /** Several nodes may share a target: with one port for all probes, or with names that lead to the same address. */
  #wanted(spec: UpstreamSpec) {
    return this.#nodes(spec).flatMap((node) =>
      this.#surroundings.addressesOf(node.host).map((address) => {
        const port = spec.checks?.active.port ?? node.port
        return { key: `${address} ${port}`, address, port, host: probeHost(spec, node) }
      }),
    )
  }

  #nodes({ nodes, discovery, scheme }: UpstreamSpec): readonly NodeSpec[] {
    if (discovery === undefined) return nodes
    const port = standardPorts[scheme]
    return this.#surroundings.nodesOf(discovery.key).map((node) => ({ port, priority: 0, ...node }))
  }

  #lookAtTargets(): void {
    this.#hasEjected = false
    for (const target of this.#targets.values()) {
      target.look()
      if (target.isEjected) this.#hasEjected = true
    }
  }

  #lookForPanic(): void {
    const { log } = this.#surroundings
    const { panic_threshold: threshold = 0 } = this.#spec
    const nodes = this.#nodes(this.#spec)
    const usable = nodes.filter((node) => this.#isUsable(node)).length
    const panicking = usable === 0 || usable * 100 < threshold * nodes.length
    if (panicking === this.panicking) return
    this.panicking = panicking
    const facts = { upstream: this.key, usable, endpoints: nodes.length }
    if (panicking) log.warn(facts, 'too few endpoints are usable: all are used')
    else log.info(facts, 'enough endpoints are usable again')
  }

  #isUsable(node: NodeSpec): boolean {
    const port = this.#spec.checks?.active.port ?? node.port
    return this.#surroundings.addressesOf(node.host).some((address) => {
      const slot = this.#targets.get(`${address} ${port}`)?.slot ?? noSlot
      return this.#surroundings.table.isUsable(slot)
    })
  }
}

function probeHost(spec: UpstreamSpec, node: NodeSpec): string {
  return spec.pass_host === 'rewrite' && spec.upstream_host !== undefined ? spec.upstream_host : node.host
}
