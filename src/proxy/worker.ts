/** A data thread's proxy: listeners, connections, and the runtime of the current plan. */
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import type { PlanDelta, PluginConfig } from '../config/plan.ts'
import type { ListenerSettings, Settings } from '../config/settings.ts'
import { engineCounter } from '../telemetry/engine-counters.ts'
import { clock } from './clock.ts'
import type { Counts, Engine } from './engine.ts'
import type {
  Exchange,
  PolicyFactory,
  SubrequestAnswer,
  SubrequestFailure,
  SubrequestHead,
  UpstreamOrigin,
  Verdict,
} from './exchange.ts'
import type { RequestDescription } from './explain/description.ts'
import type { Explanation } from './explain/explanation.ts'
import { setBodyLimits } from './held-body.ts'
import { ClientConnection } from './http1/client-connection.ts'
import { ClientFacts } from './http1/client-facts.ts'
import { sendSubrequest } from './http1/subrequest.ts'
import { acceptConnections, readByEvents, type SocketMaker, Wire } from './http1/wire.ts'
import { isOff, mergePolicies, routeContributions } from './merging.ts'
import { Unavailable } from './pipeline.ts'
import type { StateKeeper } from './run-time-state.ts'
import { Runtime } from './runtime.ts'
import type { LoadTable } from './shared/load-table.ts'
import { TimerWheel } from './timer-wheel.ts'
import { TlsAcceptor, type TlsOwner } from './tls/acceptor.ts'
import { Certificates } from './tls/certificates.ts'
import type { ClientTls } from './tls/client-tls.ts'
import { TicketKeys } from './tls/ticket-keys.ts'
import { TrustedAddresses } from './trust.ts'
import type { UpstreamFault } from './upstream/attempt.ts'
import type { DiscoveredNode } from './upstream/discovery/discovered-node.ts'
import type { Endpoint } from './upstream/endpoint.ts'
import type { HealthRegister } from './upstream/health/health-register.ts'
import type { UpstreamSlots } from './upstream/health/slots.ts'
import type { Upstream } from './upstream/upstream.ts'

/** The open client connections of the whole process, of which this thread adds and takes its own. */
export interface ConnectionCounts {
  /** Counts one more. @returns false, without counting, when there are `limit` already */
  open(limit: number): boolean
  close(): void
}

export interface WorkerLog {
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface WorkerOptions {
  settings: Settings
  policies: ReadonlyMap<string, PolicyFactory>
  connections: ConnectionCounts
  /** What threads know together about upstreams. */
  loads: LoadTable
  counts: Counts
  health: HealthRegister
  log: WorkerLog
  /** That the threads of a process make the keys of session tickets from. Default: one of its own. */
  ticketSecret?: Uint8Array
}

export class Worker {
  private readonly engine: Engine
  private readonly servers: net.Server[] = []
  private readonly opened = new Set<ClientConnection>()
  private readonly connections: ConnectionCounts
  private emptied: (() => void) | null = null
  private readonly tls: TlsAcceptor

  constructor(options: WorkerOptions) {
    const { settings, log } = options
    setBodyLimits(settings)
    this.connections = options.connections
    const policyFailed = (policy: string, error: unknown) => {
      options.counts.add(engineCounter.policy_errors, 1)
      if (error instanceof Unavailable) return
      log.error({ policy, error: error instanceof Error ? error.stack : String(error) }, 'policy failed')
    }
    this.engine = {
      settings,
      trusted: new TrustedAddresses(settings.trusted_addresses),
      certificates: new Certificates(),
      runtime: new Runtime(options.policies, settings.router, policyFailed, options.health, options.loads),
      wheel: new TimerWheel(),
      counts: options.counts,
      heldBytes: 0,
      draining: false,
      policyFailed,
      upstreamFailed: (upstream, endpoint, fault, error) =>
        tellFailure(log, upstream, endpoint, fault, error),
      shadowVerdict: (policy: string, verdict: Verdict, exchange: Exchange) => {
        const route = exchange.binding?.routeId
        log.warn({ policy, status: verdict.status, route }, 'shadow policy would have answered')
      },
    }
    const tickets = new TicketKeys(options.ticketSecret ?? randomBytes(32))
    this.tls = new TlsAcceptor(this.engine, this.engine.certificates, tickets, this.tlsOwner(), log)
  }

  /** Swaps the plan between two requests. @throws when it cannot be put to work; then nothing has changed */
  apply(delta: PlanDelta, otherPolicies = false): void {
    const { engine } = this
    engine.runtime.apply(delta, otherPolicies)
    const { settings = engine.settings, put, remove } = delta
    if (delta.settings !== undefined || put.ssls !== undefined || remove.ssls !== undefined)
      engine.certificates.use(engine.runtime.resources.ssls, settings.tls)
    if (delta.settings === undefined) return
    engine.settings = delta.settings
    setBodyLimits(delta.settings)
    this.engine.trusted = new TrustedAddresses(delta.settings.trusted_addresses)
  }

  /** @param policies bound to services without consequences */
  async explain(
    description: RequestDescription,
    policies: ReadonlyMap<string, PolicyFactory>,
    version: number,
  ): Promise<Explanation> {
    // Most threads are never asked, and start sooner without it.
    const { explain } = await import('./explain/explain.ts')
    clock.tick()
    return explain({ engine: this.engine, policies, version }, description)
  }

  /** Asks this gateway itself in the name of the client of `outer`. */
  subrequest(outer: Exchange, head: SubrequestHead): Promise<SubrequestAnswer | SubrequestFailure> {
    return sendSubrequest(outer, head, this.engine)
  }

  /** The configuration of a policy on a route, whichever resource it comes from. */
  configOf(policy: string, routeId: string): PluginConfig | undefined {
    const { resources } = this.engine.runtime
    const route = resources.routes.get(routeId)
    if (route === undefined) return undefined
    const found = mergePolicies(routeContributions(route, resources)).get(policy)
    return found === undefined || isOff(found) ? undefined : found.config
  }

  get balancerState(): StateKeeper {
    return this.engine.runtime.balancerState
  }

  setSlots(slots: UpstreamSlots): void {
    this.engine.runtime.setSlots(slots)
  }

  setAddresses(host: string, addresses: readonly string[]): void {
    this.engine.runtime.setAddresses(host, addresses)
  }

  hasUpstream(key: string): boolean {
    return this.engine.runtime.upstream(key) !== null
  }

  isUpstreamUp(key: string): boolean {
    return this.engine.runtime.upstream(key)?.isUp ?? false
  }

  upstreamOrigin(key: string): UpstreamOrigin | undefined {
    return this.engine.runtime.upstream(key)?.origin
  }

  setNodes(service: string, nodes: readonly DiscoveredNode[] | null): void {
    this.engine.runtime.setNodes(service, nodes)
  }

  /**
   * Opens the listeners; several threads share their ports (SO_REUSEPORT).
   * @param ports by listener name, for those configured with port 0
   * @returns the ports in use
   */
  async listen(ports: ReadonlyMap<string, number> = new Map()): Promise<{ name: string; port: number }[]> {
    const opened: { name: string; port: number }[] = []
    this.engine.draining = false
    for (const listener of this.engine.settings.listeners) {
      const server = net.createServer({ allowHalfOpen: true, noDelay: true })
      await listening(server, listener, ports.get(listener.name) ?? listener.port)
      if (listener.protocol === 'https')
        server.on('connection', (socket) => this.acceptTls(socket, listener.name))
      else acceptConnections(server, (make) => this.accept(make, listener.name))
      this.servers.push(server)
      opened.push({ name: listener.name, port: (server.address() as net.AddressInfo).port })
    }
    return opened
  }

  /** Accepts nothing more until `listen`. Requests in flight finish, and their connections end with them. */
  pause(): void {
    clock.tick()
    this.engine.draining = true
    for (const server of this.servers.splice(0)) server.close()
    for (const connection of [...this.opened]) connection.drain()
  }

  /** Accepts nothing more, lets requests in flight finish within the grace period, then ends what is left. */
  async drain(): Promise<void> {
    clock.tick()
    this.engine.draining = true
    for (const server of this.servers) server.close()
    for (const connection of [...this.opened]) connection.drain()
    if (this.count > 0) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.emptied = resolve
      const grace = setTimeout(resolve, this.engine.settings.timeouts.drain)
      await promise
      clearTimeout(grace)
    }
    this.close()
  }

  close(): void {
    for (const server of this.servers) server.close()
    this.tls.close()
    for (const connection of this.opened) connection.wire.destroy()
    this.engine.runtime.retire()
    this.engine.wheel.close()
  }

  private tlsOwner(): TlsOwner {
    return {
      secured: (socket, plain, facts, listener) => {
        const { wire } = this.open((onread) => readByEvents(socket, onread), listener, facts)
        wire.plain = plain
      },
      unsecured: (socket, listener) => {
        this.open((onread) => readByEvents(socket, onread), listener, null).refusePlain()
      },
      failed: () => this.closed(),
    }
  }

  /** Connections, and handshakes that may become some. */
  private get count(): number {
    return this.opened.size + this.tls.pending
  }

  private accept(make: SocketMaker, listener: string): void {
    clock.tick()
    if (this.admit()) this.open(make, listener, null)
    else new Wire(silent, this.engine.wheel, make).destroy()
  }

  private acceptTls(socket: net.Socket, listener: string): void {
    clock.tick()
    if (this.admit()) this.tls.accept(socket, listener)
    else socket.destroy()
  }

  /** Counts one more connection. @returns false when there are as many as there may be */
  private admit(): boolean {
    const { counts, settings } = this.engine
    const isAdmitted = this.connections.open(settings.limits.connections)
    counts.add(isAdmitted ? engineCounter.connections_accepted : engineCounter.connections_refused, 1)
    return isAdmitted
  }

  private open(make: SocketMaker, listener: string, tls: ClientTls | null): ClientConnection {
    const { engine } = this
    // The owner needs the wire and the wire an owner: the connection takes its place before anything can arrive.
    const wire = new Wire(silent, engine.wheel, make)
    const { socket } = wire
    const facts = new ClientFacts(
      socket.remoteAddress ?? '',
      socket.remotePort ?? 0,
      socket.localAddress ?? '',
      socket.localPort ?? 0,
      listener,
      engine.trusted,
      engine.settings.forwarding,
      tls,
    )
    const connection = new ClientConnection(wire, facts, engine, (gone) => this.gone(gone))
    wire.owner = connection
    this.opened.add(connection)
    return connection
  }

  private gone(connection: ClientConnection): void {
    this.opened.delete(connection)
    this.closed()
  }

  private closed(): void {
    this.connections.close()
    if (this.count === 0) this.emptied?.()
  }
}

/** Milliseconds between two lines about the same endpoint. */
const failurePause = 1000

/** One line about an endpoint now and then, however often it fails. */
function tellFailure(
  log: WorkerLog,
  upstream: Upstream,
  endpoint: Endpoint,
  fault: UpstreamFault,
  error: Error,
): void {
  if (clock.now - endpoint.failureToldAt < failurePause) {
    endpoint.untoldFailures++
    return
  }
  const untold = endpoint.untoldFailures
  endpoint.failureToldAt = clock.now
  endpoint.untoldFailures = 0
  const { code } = error as NodeJS.ErrnoException
  log.warn(
    {
      upstream: upstream.spec.key,
      endpoint: endpoint.label,
      fault,
      reason: error.message,
      ...(code !== undefined && { code }),
      ...(untold > 0 && { untold }),
    },
    'an endpoint could not be asked',
  )
}

const silent = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {}, onDeadline() {} }

function listening(server: net.Server, { host }: ListenerSettings, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, reusePort: true, backlog: 4096 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
