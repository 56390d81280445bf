/**
 * Where the control thread comes together: configuration and its reloads, the supervisor of the data threads, name
 * resolution, metrics, and the endpoints for operators.
 */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { AdminApi } from './admin/api/api.ts'
import { storeFamilies } from './admin/api/families.ts'
import type { Store } from './admin/api/store.ts'
import { refuseForeign } from './admin/foreign-requests.ts'
import { type Check, healthEndpoints } from './admin/health.ts'
import { LiveConfiguration } from './admin/live-configuration.ts'
import { metricsEndpoints } from './admin/metrics.ts'
import { AdminServer, type AdminServerOptions, type Endpoints } from './admin/server.ts'
import { probeEndpoints, statusEndpoints } from './admin/status.ts'
import { zonePlaces } from './config/cache-zones.ts'
import type { Catalogue, CheckResult } from './config/check.ts'
import type { Configuration } from './config/configuration.ts'
import type { Loaded, SourceDocument } from './config/load.ts'
import type { Plan, ResourceKind } from './config/plan.ts'
import { type Finding, formatFinding } from './config/problem.ts'
import type { PrometheusSettings } from './config/prometheus-settings.ts'
import type { Provenance } from './config/provenance.ts'
import type { AdminSettings } from './config/settings.ts'
import type { LogOutput } from './config-sync/log-output.ts'
import type { SyncedConfiguration } from './config-sync/protocol/messages.ts'
import { planUpstreams } from './proxy/plan-upstreams.ts'
import { sharedState } from './proxy/run-time-state.ts'
import type { SpareThreads } from './proxy/spare-threads.ts'
import { Supervisor } from './proxy/supervisor.ts'
import type { Ports } from './proxy/thread-protocol.ts'
import { certificateFamilies } from './proxy/tls/families.ts'
import { Discovery } from './proxy/upstream/discovery/discovery.ts'
import { discoveryFamilies } from './proxy/upstream/discovery/families.ts'
import { healthFamilies } from './proxy/upstream/health/families.ts'
import { HealthMonitor } from './proxy/upstream/health/monitor.ts'
import { loadFamilies } from './proxy/upstream/load/families.ts'
import { UpstreamLoads } from './proxy/upstream/load/loads.ts'
import { Resolver } from './proxy/upstream/resolver.ts'
import { SecretBook } from './secrets/book.ts'
import { systemClock } from './secrets/clock.ts'
import { secretFamilies } from './secrets/families.ts'
import { readerOf, type SecretReader } from './secrets/reader.ts'
import { ShippedLog } from './shipped-log.ts'
import { Exposition } from './telemetry/exposition.ts'
import { DescriptorDestination, LineSink } from './telemetry/line-sink.ts'
import type { RuntimeLog } from './telemetry/log.ts'
import type { MetricFamily } from './telemetry/metric-family.ts'
import { createThreadGaugeMemory, ThreadPulse } from './telemetry/thread-gauges.ts'
import { version } from './version.ts'

/** Where everything listens, with the ports in use. */
export interface Addresses {
  listeners: { name: string; protocol: string; host: string; port: number }[]
  metrics?: { host: string; port: number }
  control?: { host: string; port: number }
  admin?: { host: string; port: number }
}

export interface GatewayOptions {
  plan: Plan
  configuration: Configuration
  catalogue: Catalogue
  /** Of the Admin API. */
  store: Store
  /** That the configuration was checked with, so that nothing is asked for twice. Default: one of its own. */
  secretReader?: SecretReader
  log: RuntimeLog
  /** Reads the configuration anew, for `reload`, with what the store holds; and with that of a control plane. */
  read: (synced?: SyncedConfiguration) => Promise<CheckResult>
  /** The connection to a control plane, as operators see it. */
  sync?: SyncView
  /** Whether traffic is taken from the start; `setOpen` changes it. Default: true. */
  open?: boolean
  /** Reads the files again without checking them, to find where something was written. */
  readDocuments?: () => Promise<Loaded>
  /** Of the files that the configuration was read from. */
  digests?: ReadonlyMap<string, string> | undefined
  /** Of `data-thread.ts`. */
  threads: SpareThreads
}

/** What the gateway shows of its control plane. */
export interface SyncView {
  remarks(): readonly Check[]
  families(): MetricFamily[]
  status(): object
}

/** Why a configuration is not in force. */
export interface NotTaken {
  code: 'invalid-configuration' | 'not-applied'
  message: string
  findings: readonly Finding[]
}

export class Gateway {
  readonly #log: RuntimeLog
  readonly #read: (synced?: SyncedConfiguration) => Promise<CheckResult>
  readonly #sync: SyncView | undefined
  readonly #readDocuments: () => Promise<Loaded>
  readonly #catalogue: Catalogue
  readonly #store: Store
  readonly #live: LiveConfiguration
  readonly #supervisor: Supervisor
  readonly #resolver: Resolver
  readonly #discovery: Discovery
  readonly #health: HealthMonitor
  readonly #secrets: SecretBook
  readonly #loads: UpstreamLoads
  /** Of this run. */
  readonly #id = randomUUID()
  readonly #exposition: Exposition
  readonly #pulse: ThreadPulse
  readonly #expiry: NodeJS.Timeout | undefined
  readonly #stdout: LineSink
  readonly #shippedLog: ShippedLog
  #admin: AdminApi | undefined
  #probe: { settings: object; server: AdminServer } | undefined
  readonly #servers: { close(): Promise<void> }[] = []
  #digests: ReadonlyMap<string, string> | undefined
  #rejected = 0
  #stateClears = 0

  constructor(options: GatewayOptions) {
    const { plan, configuration, catalogue, store, log, threads } = options
    this.#log = log
    this.#read = options.read
    this.#sync = options.sync
    this.#readDocuments = options.readDocuments ?? nothingToRead
    this.#digests = options.digests
    this.#catalogue = catalogue
    this.#store = store
    const gauges = createThreadGaugeMemory()
    this.#pulse = new ThreadPulse(gauges)
    const { prometheus } = plan.settings
    this.#exposition = new Exposition(() => this.#facts(), gauges, prometheus.prefix)
    this.#expiry = expireSeries(this.#exposition, prometheus.expire)
    this.#resolver = new Resolver(plan.settings.dns, log)
    this.#discovery = new Discovery({ log, dns: plan.settings.dns })
    this.#secrets = new SecretBook({
      reader: options.secretReader ?? readerOf({ env: process.env, cwd: process.cwd() }),
      catalogue,
      zones: zonePlaces(plan.settings.cache.zones),
      settings: plan.settings.secrets,
      clock: systemClock,
      log,
    })
    this.#stdout = new LineSink(new DescriptorDestination(process.stdout.fd), {
      onError: (err) => log.error({ err }, 'log lines cannot be written to standard output'),
    })
    this.#health = new HealthMonitor({
      log,
      enabled: plan.settings.health_checks,
      addressesOf: (host) => this.#resolver.addressesOf(host),
      nodesOf: (service) => this.#discovery.nodesOf(service),
      authorities: () => this.#supervisor.plan.settings.upstream_tls.ca,
    })
    this.#supervisor = new Supervisor({
      plan,
      threads,
      open: options.open ?? true,
      addressBook: this.#resolver,
      nodeBook: this.#discovery,
      health: this.#health,
      secrets: this.#secrets,
      log,
      observer: {
        threadStarted: (threadId, memory) => this.#exposition.addThread(threadId, memory),
        threadEnded: (threadId) => this.#exposition.retireThread(threadId),
        announced: (threadId, announcement) => this.#exposition.announce(threadId, announcement),
        lines: (lines, count) => this.#stdout.write(lines.slice(0, -1), count),
        metrics: () => this.#exposition.render(),
      },
    })
    this.#shippedLog = new ShippedLog({
      log,
      metadata: (policy) => this.#supervisor.plan.plugin_metadata.get(policy),
      withSecrets: (metadata) => this.#secrets.current('plugin_metadata', metadata),
    })
    this.#exposition.addSource(() => this.#shippedLog.families())
    const { state } = this.#supervisor
    // The threads count their own series.
    state.add(
      sharedState(
        'metrics',
        () => 0,
        () => this.#exposition.clearPolicyMetrics(),
      ),
    )
    for (const keeper of this.#health.keepers) state.add(keeper)
    this.#exposition.addSource(() =>
      healthFamilies(this.#health.status(), this.#health.totals, (key) => this.#upstreamName(key)),
    )
    this.#exposition.addSource(() => discoveryFamilies(this.#discovery.status()))
    this.#loads = new UpstreamLoads({
      reader: this.#supervisor.loads,
      upstreams: () => planUpstreams(this.#supervisor.plan),
      nodesOf: (service) => this.#discovery.nodesOf(service),
    })
    state.add(this.#loads.keeper)
    this.#exposition.addSource(() => loadFamilies(this.#loads, (key) => this.#upstreamName(key)))
    this.#exposition.addSource(() => certificateFamilies(this.#supervisor.plan.ssls.values()))
    this.#exposition.addSource(() => secretFamilies(this.#secrets.counts))
    this.#exposition.addSource(() => storeFamilies(store))
    this.#exposition.addSource(() => options.sync?.families() ?? [])
    for (const cache of [this.#resolver, this.#secrets]) {
      state.add(
        sharedState(
          'caches',
          () => cache.size,
          () => cache.refresh(),
        ),
      )
    }
    this.#live = new LiveConfiguration(this.#supervisor, store, configuration)
  }

  /** Resolves when traffic is taken. Rejects when it cannot be; then nothing is left open. */
  async start(): Promise<Addresses> {
    const { metrics, prometheus, control, status: statusApi, probe, admin } = this.#supervisor.plan.settings
    const status = () => this.#supervisor.status
    try {
      // Health comes first, so that a start that takes long can be watched.
      const metricsPort = await this.#serve(metrics, {
        ...healthEndpoints(status, () => this.#sync?.remarks() ?? []),
        ...metricsEndpoints(this.#exposition, prometheus.path),
      })
      const controlPort = await this.#serve(control, () => this.#controlEndpoints(), {
        guard: refuseForeign,
        wrongMethod: 404,
      })
      await this.#serve(statusApi, statusEndpoints(status))
      await this.#serve(probe, probeEndpoints(status))
      await this.#supervisor.start()
      const adminPort = await this.#serveAdmin(admin)
      const { listeners } = this.#supervisor.plan.settings
      return {
        listeners: listeners.map((listener) => ({
          ...listener,
          port: this.#supervisor.open ? portOf(listener.name, status().ports) : listener.port,
        })),
        ...(metricsPort !== undefined && { metrics: { host: metrics.host, port: metricsPort } }),
        ...(controlPort !== undefined && { control: { host: control.host, port: controlPort } }),
        ...(adminPort !== undefined && { admin: { host: admin.host, port: adminPort } }),
      }
    } catch (error) {
      await this.#close()
      throw error
    }
  }

  /**
   * Reads the configuration again and puts it to work. A bad one changes nothing but the log and a metric.
   * @returns why it is not in use; undefined when it is
   */
  async reload(): Promise<string | undefined> {
    let digests: ReadonlyMap<string, string> | undefined
    const result = await this.#live.reload(async () => {
      const reading = await this.#read()
      const { plan, configuration, findings } = reading
      digests = reading.digests
      if (plan !== undefined && configuration !== undefined) return { plan, configuration }
      this.#reject({ findings: findings.map((finding) => formatFinding(finding).trimEnd()) })
      return undefined
    })
    if (result !== undefined && result.outcome !== 'refused') this.#digests = digests
    switch (result?.outcome) {
      case undefined:
        return 'the configuration has errors; the log has them'
      case 'refused':
        this.#reject({ reason: result.reason })
        return result.reason
      case 'unchanged':
        this.#log.info({ version: result.version }, 'the configuration says what is running already')
        break
      case 'applied':
        this.#log.setLevel(this.#supervisor.plan.settings.log.level)
        this.#log.info({ version: result.version, changes: result.changes }, 'new configuration is in use')
    }
    return undefined
  }

  /**
   * Puts the configuration of a control plane to work, beside that of the files.
   * @param taken is called once it is in force, before anything else is read
   * @returns why it is not in force; then nothing has changed
   */
  async take(configuration: SyncedConfiguration, taken: () => void): Promise<NotTaken | undefined> {
    let findings: readonly Finding[] = []
    const result = await this.#live.reload(async () => {
      const reading = await this.#read(configuration)
      findings = reading.findings
      const { plan, configuration: read } = reading
      return plan === undefined || read === undefined ? undefined : { plan, configuration: read }
    }, taken)
    if (result === undefined) {
      const errors = findings.filter(({ severity }) => severity === 'error')
      return { code: 'invalid-configuration', message: 'the configuration has errors', findings: errors }
    }
    if (result.outcome === 'refused') return { code: 'not-applied', message: result.reason, findings: [] }
    this.#log.setLevel(this.#supervisor.plan.settings.log.level)
    return undefined
  }

  /** Opens the traffic listeners or closes them; everything else goes on. */
  async setOpen(open: boolean): Promise<void> {
    if (open === this.#supervisor.open) return
    await this.#supervisor.setOpen(open)
    this.#log.warn(
      {},
      open ? 'traffic is taken again' : 'STOPPED: the control plane wants no traffic to be taken',
    )
  }

  /** Where health can be asked for besides; undefined: nowhere. A port that is taken is told of in the log. */
  async setProbe(probe: { path: string; port: number } | undefined): Promise<void> {
    if (isDeepStrictEqual(probe, this.#probe?.settings)) return
    await this.#probe?.server.close()
    this.#probe = undefined
    if (probe === undefined) return
    const ready = healthEndpoints(() => this.#supervisor.status)['GET /readyz']!
    const server = new AdminServer({ [`GET ${probe.path}`]: ready }, this.#log)
    try {
      await server.listen({ host: '0.0.0.0', port: probe.port, enabled: true })
      this.#probe = { settings: probe, server }
    } catch (err) {
      this.#log.error({ err, ...probe }, 'the probe of the runtime configuration cannot be opened')
    }
  }

  /** Where the lines of the log go besides. */
  setLogOutputs(outputs: readonly LogOutput[]): Promise<void> {
    return this.#shippedLog.setOutputs(outputs)
  }

  /** What a control plane is told. */
  facts(): { ports: number[]; cores: number; requests: number } {
    const { ports, threads } = this.#supervisor.status
    return { ports: [...ports.values()], cores: threads.length, requests: this.#exposition.requests }
  }

  /** In the text format of Prometheus. */
  async metrics(): Promise<string> {
    return (await this.#exposition.render()).text
  }

  /** Of upstreams that are watched, as a control plane is told. */
  health(): {
    upstream_id: string
    nodes: { host: string; port: number; status: 'healthy' | 'unhealthy' }[]
  }[] {
    return this.#health.status().map(({ key, endpoints }) => ({
      upstream_id: key.slice(key.indexOf(':') + 1),
      nodes: endpoints.map(({ address, port, state, ejected }) => ({
        host: address,
        port,
        status: ejected || state === 'unhealthy' ? 'unhealthy' : 'healthy',
      })),
    }))
  }

  /** Every line of the log from now on, for the control plane. */
  followLog(listener: (line: string) => void): void {
    this.#shippedLog.forward = listener
  }

  /** Lets go of files that were renamed, and opens those that took their place. */
  reopenLogs(): void {
    this.#supervisor.reopenLogs()
    void this.#admin?.reopenLogs()
    void this.#shippedLog.reopen()
  }

  /** Ends one data thread as a crash would; it is replaced. For tests of what that costs. */
  async endThread(threadId: number): Promise<void> {
    await this.#supervisor.endThread(threadId)
  }

  /** Replaces one data thread after it has finished what is in flight. */
  async restartThread(threadId: number): Promise<void> {
    await this.#supervisor.restartThread(threadId)
  }

  /** Fails readiness, closes the listeners, lets requests in flight finish within their grace, and ends. */
  async drain(): Promise<void> {
    await this.#supervisor.drain()
    await this.#close()
  }

  /** Ends at once. */
  async stop(): Promise<void> {
    await this.#supervisor.stop()
    await this.#close()
  }

  /** Loaded by the first request, because a start has no need of them. */
  async #controlEndpoints(): Promise<Endpoints> {
    const { operatorEndpoints } = await import('./operator-endpoints.ts')
    return operatorEndpoints({
      id: this.#id,
      catalogue: this.#catalogue,
      supervisor: this.#supervisor,
      live: this.#live,
      store: this.#store,
      discovery: this.#discovery,
      health: this.#health,
      loads: this.#loads,
      log: this.#log,
      reload: () => this.reload(),
      sync: () => this.#sync?.status(),
      provenance: () => this.#provenance(),
      resourceName: (kind, id) => this.#resourceName(kind, id),
      stateCleared: () => {
        this.#stateClears++
      },
    })
  }

  /** What APISIX calls a resource: those of the Admin API otherwise than those of files. */
  #resourceName(kind: ResourceKind, id: string): string {
    return this.#store.get(kind, id) === undefined ? `/${kind}/${id}` : `/apisix/${kind}/${id}`
  }

  /** @param key of an upstream: `route:1` */
  #upstreamName(key: string): string {
    const colon = key.indexOf(':')
    return this.#resourceName(`${key.slice(0, colon)}s` as ResourceKind, key.slice(colon + 1))
  }

  /** Secrets belong to no resource: several may refer to one. */
  /** Files are read again, because what is held of them is not what was written; one that has changed says nothing. */
  async #provenance(): Promise<Provenance> {
    const { Provenance } = await import('./config/provenance.ts')
    const { documents, digests } = await this.#readDocuments()
    const same = ({ file }: SourceDocument) => digests?.get(file) === this.#digests?.get(file)
    return new Provenance(documents.filter(same))
  }

  async #serve(
    address: Plan['settings']['metrics'],
    endpoints: Endpoints | (() => Promise<Endpoints>),
    options: AdminServerOptions = {},
  ): Promise<number | undefined> {
    if (!address.enabled) return undefined
    const server = new AdminServer(endpoints, this.#log, options)
    this.#servers.push(server)
    return server.listen(address)
  }

  async #serveAdmin(settings: AdminSettings): Promise<number | undefined> {
    if (!settings.enabled) return undefined
    const [{ AdminApi }, { ApiServer }] = await Promise.all([
      import('./admin/api/api.ts'),
      import('./admin/api/server.ts'),
    ])
    const api = new AdminApi({
      settings,
      live: this.#live,
      catalogue: this.#catalogue,
      zones: zonePlaces(this.#supervisor.plan.settings.cache.zones),
      log: this.#log,
      version,
    })
    this.#admin = api
    const server = new ApiServer(api, this.#supervisor.plan.settings.server, this.#log)
    this.#servers.push(server)
    return server.listen(settings)
  }

  async #close(): Promise<void> {
    await this.#shippedLog.close()
    this.#discovery.close()
    this.#resolver.close()
    this.#health.close()
    this.#secrets.close()
    this.#pulse.stop()
    clearInterval(this.#expiry)
    await Promise.all([...this.#servers.map((server) => server.close()), this.#stdout.close()])
    await this.#probe?.server.close()
    await this.#live.settle()
    await this.#store.close()
  }

  #reject(why: object): void {
    this.#rejected++
    this.#log.error(
      { ...why, version: this.#supervisor.status.version },
      'NEW CONFIGURATION REFUSED: the gateway goes on with the one it has',
    )
  }

  #facts() {
    const status = this.#supervisor.status
    return {
      id: this.#id,
      version,
      configVersion: status.version,
      configAppliedAt: status.appliedAt,
      configRejected: this.#rejected,
      threadRestarts: status.restarts,
      connectionsLost: status.connectionsLost,
      openConnections: status.openConnections,
      limiterEvictions: status.limiterEvictions,
      stateClears: this.#stateClears,
      ready: this.#supervisor.ready,
    }
  }
}

/** Undefined where no metric has series that expire. */
function expireSeries(
  exposition: Exposition,
  expire: PrometheusSettings['expire'],
): NodeJS.Timeout | undefined {
  const lifetimes = new Map(Object.entries(expire).map(([name, lifetime]) => [`apisix_${name}`, lifetime]))
  if (lifetimes.size === 0) return undefined
  const everyMs = Math.max(100, Math.min(...lifetimes.values()) / 4)
  return setInterval(() => exposition.expireSeries(lifetimes, performance.now()), everyMs).unref()
}

const nothingToRead = async (): Promise<Loaded> => ({ documents: [], findings: [] })

function portOf(name: string, ports: Ports): number {
  const port = ports.get(name)
  if (port === undefined) throw new Error(`listener ${name} did not open`)
  return port
}
