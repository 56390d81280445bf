/** A data thread's proxy: listeners, connections, and the runtime of the current plan. */
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import type { PlanDelta, PluginConfig } from '../config/plan.ts'
import { type ListenerSettings, type Settings, usualHttp2Limits } from '../config/settings.ts'
import { engineCounter } from '../telemetry/engine-counters.ts'
import type { CauseCounter } from './cause.ts'
import { clock } from './clock.ts'
import type { Counts, Engine } from './engine.ts'
import type {
  Exchange,
  PolicyFactory,
  SubrequestAnswer,
  SubrequestFailure,
  SubrequestHead,
  TlsInfo,
  UpstreamOrigin,
  Verdict,
} from './exchange.ts'
import type { RequestDescription } from './explain/description.ts'
import type { Explanation } from './explain/explanation.ts'
import { setBodyLimits } from './held-body.ts'
import { setHighWater } from './high-water.ts'
import { ClientConnection } from './http1/client-connection.ts'
import { ClientFacts } from './http1/client-facts.ts'
import { sendSubrequest } from './http1/subrequest.ts'
import { acceptConnections, readByEvents, type SocketMaker, Wire } from './http1/wire.ts'
import { ClientSession } from './http2/client-session.ts'
import { Listener, listenTcp, type OpenConnection } from './listener.ts'
import { isOff, mergePolicies, routeContributions } from './merging.ts'
import { Unavailable } from './pipeline.ts'
import { type ProxiedClient, SocketHeaderWait, WireHeaderWait } from './proxy-protocol/header-wait.ts'
import type { StateKeeper } from './run-time-state.ts'
import { Runtime } from './runtime.ts'
import type { LoadTable } from './shared/load-table.ts'
import { SessionClient, StreamSession } from './stream/session.ts'
import { HelloWait } from './tcp/hello-wait.ts'
import { TcpSession } from './tcp/tcp-session.ts'
import type { Follower } from './timeline.ts'
import { TimerWheel } from './timer-wheel.ts'
import { TlsAcceptor, type TlsOwner } from './tls/acceptor.ts'
import { Certificates } from './tls/certificates.ts'
import type { ClientTls } from './tls/client-tls.ts'
import type { Inside } from './tls/server-certificate.ts'
import { TicketKeys } from './tls/ticket-keys.ts'
import { TrustedAddresses } from './trust.ts'
import { UdpListener } from './udp/udp-listener.ts'
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
  /** Default: nobody counts them. */
  answered?: CauseCounter
  /** That the threads of a process make the keys of session tickets from. Default: one of its own. */
  ticketSecret?: Uint8Array
}

export class Worker {
  private readonly engine: Engine
  /** By name. */
  private listeners = new Map<string, Listener>()
  private readonly opened = new Set<OpenConnection>()
  private readonly connections: ConnectionCounts
  private emptied: (() => void) | null = null
  private readonly tls: TlsAcceptor<Arrived>
  /** Headers of the PROXY protocol that have not come in front of a handshake yet. */
  private readonly waiting = new Set<net.Socket>()

  constructor(options: WorkerOptions) {
    const { settings, log } = options
    setBodyLimits(settings)
    setHighWater(settings)
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
      follower: null,
      answered: options.answered ?? (() => {}),
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
    setHighWater(delta.settings)
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

  /** @param follower of all exchanges that begin from now on; null: nobody */
  follow(follower: Follower<Exchange> | null): void {
    this.engine.follower = follower
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
   * Opens the listeners that the settings name and that are not open, and closes those that they no longer name, whose
   * connections finish what is under way. Several threads share their ports (SO_REUSEPORT).
   * @param ports by listener name, for those configured with port 0
   * @returns the ports in use
   * @throws when one cannot be opened; then those that were open still are, and no others
   */
  async listen(ports: ReadonlyMap<string, number> = new Map()): Promise<{ name: string; port: number }[]> {
    this.engine.draining = false
    const next = new Map<string, Listener>()
    const opened: Listener[] = []
    try {
      for (const settings of this.engine.settings.listeners) {
        let listener = this.listeners.get(settings.name)
        if (listener?.fits(settings) !== true) {
          listener = await this.openListener(settings, settings.port || (ports.get(settings.name) ?? 0))
          opened.push(listener)
        }
        next.set(settings.name, listener)
      }
    } catch (error) {
      for (const listener of opened) listener.close()
      throw error
    }
    for (const listener of this.listeners.values()) if (next.get(listener.name) !== listener) listener.close()
    this.listeners = next
    for (const settings of this.engine.settings.listeners) next.get(settings.name)?.use(settings)
    return Array.from(next.values(), ({ name, port }) => ({ name, port }))
  }

  /** Accepts nothing more until `listen`. Requests in flight finish, and their connections end with them. */
  pause(): void {
    clock.tick()
    this.engine.draining = true
    this.closeListeners()
  }

  /** Accepts nothing more, lets requests in flight finish within the grace period, then ends what is left. */
  async drain(): Promise<void> {
    clock.tick()
    this.engine.draining = true
    this.closeListeners()
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
    this.closeListeners()
    for (const socket of this.waiting) socket.destroy()
    this.tls.close()
    for (const connection of this.opened) connection.wire.destroy()
    this.engine.runtime.retire()
    this.engine.wheel.close()
  }

  private closeListeners(): void {
    for (const listener of this.listeners.values()) listener.close()
    this.listeners.clear()
  }

  private async openListener(settings: ListenerSettings, port: number): Promise<Listener> {
    const { protocol, passthrough } = settings
    if (protocol === 'udp') return this.openUdp(settings, port)
    const server = net.createServer({ allowHalfOpen: true, noDelay: true })
    await listenTcp(server, settings.host, port)
    const listener = new Listener(settings, {
      address: () => server.address() as net.AddressInfo,
      close: () => void server.close(),
    })
    if (protocol === 'https' || (protocol === 'tls' && passthrough !== true))
      server.on('connection', (socket) => this.acceptTls(socket, listener))
    else acceptConnections(server, (make) => this.accept(make, listener))
    return listener
  }

  private async openUdp(settings: ListenerSettings, port: number): Promise<Listener> {
    const socket = await UdpListener.open(settings.host, port, settings.name, this.engine, {
      admit: () => this.admit(),
      began: (session) => this.enter(session, listener),
      over: (session) => this.gone(session, listener),
    })
    const listener = new Listener(settings, socket)
    return listener
  }

  private tlsOwner(): TlsOwner<Arrived> {
    return {
      secured: (socket, plain, facts, { listener, client }) => {
        if (facts.alpn === 'h2') {
          this.openHttp2(socket, plain, listener, this.factsOf(socket, listener, facts, client))
          return
        }
        const wire = new Wire(silent, this.engine.wheel, (onread) => readByEvents(socket, onread))
        wire.plain = plain
        if (listener.settings.protocol === 'tls') {
          const session = this.openSession(wire, listener, facts, client)
          // There is no path that could do without a certificate of the client.
          if (facts.certificate.judgesRequests && facts.verify !== 'SUCCESS') session.refused(400)
          else session.start(null)
        } else this.open(wire, listener, facts, client)
      },
      unsecured: (socket, { listener, client }) => {
        const wire = new Wire(silent, this.engine.wheel, (onread) => readByEvents(socket, onread))
        if (listener.settings.protocol === 'tls') this.openSession(wire, listener, null, client).refused(400)
        else this.open(wire, listener, null, client).refusePlain()
      },
      failed: () => this.closed(),
    }
  }

  /** Connections, and handshakes that may become some. */
  private get count(): number {
    return this.opened.size + this.tls.pending + this.waiting.size
  }

  private accept(make: SocketMaker, listener: Listener): void {
    clock.tick()
    const wire = new Wire(silent, this.engine.wheel, make)
    const peer = wire.socket.remoteAddress ?? ''
    if (listener.peers?.admits(peer) === false || !this.admit()) {
      wire.destroy()
      return
    }
    const { peers } = listener
    if (peers === null) {
      this.begin(wire, listener, null, null)
      return
    }
    const isBelieved = peers.believes(peer)
    const wait = new WireHeaderWait(
      wire,
      clock.now + this.engine.settings.timeouts.handshake,
      (client, rest) => {
        this.leave(wait, listener)
        this.begin(wire, listener, isBelieved ? client : null, rest)
      },
      () => this.gone(wait, listener),
    )
    this.enter(wait, listener)
  }

  /** Who the client is has been found out. `early`: what it has sent already, valid only during the call. */
  private begin(wire: Wire, listener: Listener, client: ProxiedClient, early: Buffer | null): void {
    const { protocol, passthrough } = listener.settings
    if (protocol === 'http') {
      const connection = this.open(wire, listener, null, client)
      if (early !== null && early.length > 0) connection.onBytes(early, early.length)
    } else if (passthrough === true) this.awaitHello(wire, listener, client, early)
    else this.openSession(wire, listener, null, client).start(early === null ? null : Buffer.from(early))
  }

  private awaitHello(wire: Wire, listener: Listener, client: ProxiedClient, early: Buffer | null): void {
    const wait = new HelloWait(
      wire,
      clock.now + this.engine.settings.timeouts.handshake,
      (serverName, bytes) => {
        this.leave(wait, listener)
        this.openSession(wire, listener, passedTls(serverName), client).start(bytes)
      },
      () => this.gone(wait, listener),
    )
    this.enter(wait, listener)
    if (early !== null) wait.onBytes(early, early.length)
  }

  private acceptTls(socket: net.Socket, listener: Listener): void {
    clock.tick()
    const { peers } = listener
    const peer = socket.remoteAddress ?? ''
    if (peers?.admits(peer) === false || !this.admit()) {
      socket.destroy()
      return
    }
    if (peers === null) {
      this.tls.accept(socket, { listener, client: null }, insideOf(listener), listener.settings.ssl)
      return
    }
    const isBelieved = peers.believes(peer)
    this.waiting.add(socket)
    new SocketHeaderWait(
      socket,
      this.engine.wheel,
      clock.now + this.engine.settings.timeouts.handshake,
      (client) => {
        this.waiting.delete(socket)
        this.tls.accept(
          socket,
          { listener, client: isBelieved ? client : null },
          insideOf(listener),
          listener.settings.ssl,
        )
      },
      () => {
        this.waiting.delete(socket)
        this.closed()
      },
    )
  }

  /** Counts one more connection. @returns false when there are as many as there may be */
  private admit(): boolean {
    const { counts, settings } = this.engine
    const isAdmitted = this.connections.open(settings.limits.connections)
    counts.add(isAdmitted ? engineCounter.connections_accepted : engineCounter.connections_refused, 1)
    return isAdmitted
  }

  private open(
    wire: Wire,
    listener: Listener,
    tls: ClientTls | null,
    client: ProxiedClient,
  ): ClientConnection {
    const facts = this.factsOf(wire.socket, listener, tls, client)
    const connection = new ClientConnection(wire, facts, this.engine, {
      gone: (gone) => this.gone(gone, listener),
      takeOver: tls === null && listener.settings.http2 === true ? (read) => takeOver(read) : null,
    })
    const takeOver = (read: Buffer) => {
      clock.tick()
      this.leave(connection, listener)
      const socket = wire.release()
      socket.unshift(read)
      this.openHttp2(socket, socket, listener, facts)
    }
    wire.owner = connection
    this.enter(connection, listener)
    return connection
  }

  private openHttp2(socket: net.Socket, plain: net.Socket, listener: Listener, facts: ClientFacts): void {
    const session = new ClientSession(
      socket,
      plain,
      facts,
      this.engine,
      listener.settings.http2_limits ?? usualHttp2Limits,
      (gone) => this.gone(gone, listener),
    )
    this.enter(session, listener)
    if (this.engine.draining) session.drain()
  }

  private factsOf(
    socket: net.Socket,
    listener: Listener,
    tls: ClientTls | null,
    client: ProxiedClient,
  ): ClientFacts {
    const { trusted, settings } = this.engine
    return new ClientFacts(
      client?.address ?? socket.remoteAddress ?? '',
      client?.port ?? socket.remotePort ?? 0,
      socket.localAddress ?? '',
      socket.localPort ?? 0,
      listener.name,
      trusted,
      settings.forwarding,
      tls,
    )
  }

  private openSession(
    wire: Wire,
    listener: Listener,
    tls: TlsInfo | null,
    proxied: ProxiedClient,
  ): TcpSession {
    const { socket } = wire
    const client = new SessionClient(
      { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
      { address: socket.localAddress ?? '', port: socket.localPort ?? 0 },
      listener.name,
      tls,
    )
    const exchange = new StreamSession(client, 'TCP', listener.address)
    if (proxied !== null) exchange.setClientAddress(proxied.address, proxied.port)
    const session = new TcpSession(wire, exchange, listener.settings, this.engine, (gone) =>
      this.gone(gone, listener),
    )
    this.enter(session, listener)
    return session
  }

  private enter(connection: OpenConnection, listener: Listener): void {
    this.opened.add(connection)
    listener.connections.add(connection)
  }

  private leave(connection: OpenConnection, listener: Listener): void {
    this.opened.delete(connection)
    listener.connections.delete(connection)
  }

  private gone(connection: OpenConnection, listener: Listener): void {
    this.leave(connection, listener)
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

/** Where a connection came in, and who its client is. */
interface Arrived {
  readonly listener: Listener
  readonly client: ProxiedClient
}

const insideOf = ({ settings }: Listener): Inside =>
  settings.protocol === 'tls' ? 'bytes' : settings.http2 === true ? 'http2' : 'http1'

/** TLS that passes through: nothing is known of it but the name that is asked for. */
const passedTls = (serverName: string): TlsInfo => ({
  serverName,
  protocol: '',
  cipher: '',
  alpn: '',
  isResumed: false,
  verify: 'NONE',
  clientCertificate: undefined,
})
