/** What stands behind the control port; in a file of its own, because it is loaded when somebody first asks. */
import { hostname } from 'node:os'
import type { Store } from './admin/api/store.ts'
import { controlEndpoints } from './admin/control.ts'
import { discoveryEndpoints } from './admin/discovery.ts'
import { explainEndpoints } from './admin/explain.ts'
import { exportEndpoints } from './admin/exported-configuration.ts'
import { healthcheckEndpoints } from './admin/healthcheck.ts'
import type { LiveConfiguration } from './admin/live-configuration.ts'
import { schemaEndpoints } from './admin/published-schemas.ts'
import { resourceEndpoints } from './admin/resources.ts'
import type { Endpoints } from './admin/server.ts'
import { serverInfoEndpoints } from './admin/server-info.ts'
import { stateEndpoints } from './admin/state.ts'
import { loadEndpoints } from './admin/upstream-loads.ts'
import type { Catalogue } from './config/check.ts'
import type { ResourceKind } from './config/plan.ts'
import type { Provenance } from './config/provenance.ts'
import { SecretFields } from './config/secret-fields.ts'
import { collectGarbage } from './garbage.ts'
import type { Supervisor } from './proxy/supervisor.ts'
import type { Discovery } from './proxy/upstream/discovery/discovery.ts'
import type { HealthMonitor } from './proxy/upstream/health/monitor.ts'
import type { UpstreamLoads } from './proxy/upstream/load/loads.ts'
import type { Log } from './telemetry/log.ts'
import { version } from './version.ts'

const bootTime = Math.floor(performance.timeOrigin / 1000)

/** The running gateway, as far as operators ask about it. */
export interface Operated {
  /** Of this run. */
  id: string
  catalogue: Catalogue
  supervisor: Supervisor
  live: LiveConfiguration
  store: Store
  discovery: Discovery
  health: HealthMonitor
  loads: UpstreamLoads
  log: Log
  /** @returns why the configuration is not in use; undefined when it is */
  reload(): Promise<string | undefined>
  provenance(): Promise<Provenance>
  /** Undefined: there is no control plane. */
  sync(): object | undefined
  /** What APISIX calls a resource. */
  resourceName(kind: ResourceKind, id: string): string
  stateCleared(): void
}

export function operatorEndpoints(operated: Operated): Endpoints {
  const { catalogue, supervisor, live, store, discovery, health } = operated
  const secrets = new SecretFields(catalogue)
  const source = {
    plan: () => supervisor.plan,
    configuration: () => live.configuration,
    stored: (kind: ResourceKind, id: string) => store.get(kind, id),
    version: () => supervisor.plan.version,
    discoveredNodes: (kind: 'routes' | 'services' | 'upstreams', id: string) => {
      const resource = supervisor.plan[kind].get(id)
      const upstream = resource && ('nodes' in resource ? resource : resource.upstream)
      return upstream?.discovery && discovery.nodesOf(upstream.discovery.key)
    },
  }
  return {
    ...controlEndpoints({
      plan: source.plan,
      status: () => supervisor.status,
      reload: () => operated.reload(),
      sync: () => operated.sync(),
      collectGarbage: async () => {
        await supervisor.askAll('collect-garbage', undefined)
        collectGarbage()
      },
    }),
    ...serverInfoEndpoints({ boot_time: bootTime, hostname: hostname(), id: operated.id, version }),
    ...schemaEndpoints(catalogue),
    ...resourceEndpoints(source, secrets, catalogue),
    ...exportEndpoints(source, secrets, version),
    ...discoveryEndpoints(discovery, secrets),
    ...loadEndpoints(operated.loads),
    ...explainEndpoints({
      explain: (description) => supervisor.ask('explain', description),
      health,
      sources: async () => ({
        secrets,
        configuration: live.configuration,
        provenance: await operated.provenance(),
      }),
    }),
    ...healthcheckEndpoints(source.plan, health, (kind, id) => operated.resourceName(kind, id)),
    ...stateEndpoints(supervisor, operated.log, () => operated.stateCleared()),
  }
}
