/** The configuration of a control plane beside that of the files. */
import { type Loaded, readText } from '../config/load.ts'
import { resourceKinds } from '../config/plan.ts'
import type { ListenerSettings, Settings } from '../config/settings.ts'
import type { SyncedConfiguration } from '../config-sync/protocol/messages.ts'
import {
  type RuntimeSettings,
  readRuntimeConfiguration,
  withUpstreamDefaults,
} from '../config-sync/runtime-configuration.ts'
import { withRuntimeTracing } from '../config-sync/runtime-tracing.ts'

/** As findings name it. */
const file = 'the control plane'

/** Its resources are one more document; settings of the gateway stay those of its own files. */
export function withSynced(
  loaded: Loaded,
  { resources, runtime_configuration: runtime = {} }: SyncedConfiguration,
  env: NonNullable<Loaded['env']>,
): Loaded {
  const settings = readRuntimeConfiguration(runtime)
  const defaults = 'code' in settings ? {} : settings.upstreams
  const all: Loaded = { ...loaded, documents: [...loaded.documents], findings: [...loaded.findings] }
  for (const kind of Object.keys(resources)) {
    if ((resourceKinds as readonly string[]).includes(kind)) continue
    all.findings.push({
      code: 'unknown-field',
      severity: 'error',
      file,
      path: kind,
      message: `a control plane gives resources, and ${JSON.stringify(kind)} is none`,
      hint: `Resources are ${resourceKinds.join(', ')}.`,
    })
  }
  readText(file, JSON.stringify(withUpstreamDefaults(resources, defaults)), env, all)
  for (const document of all.documents)
    if (!loaded.documents.includes(document)) document.startsNothing = true
  return all
}

/** What the runtime configuration says about the gateway itself is stronger than its files. */
export function overrideSettings(
  settings: Settings,
  { runtime_configuration: runtime = {} }: SyncedConfiguration,
): void {
  const wanted: RuntimeSettings | { code: string } = readRuntimeConfiguration(runtime)
  if ('code' in wanted) return
  if (wanted.logLevel !== undefined) settings.log = { ...settings.log, level: wanted.logLevel }
  if (wanted.connectionBuffer !== undefined) {
    settings.limits = { ...settings.limits, connection_buffer: wanted.connectionBuffer }
  }
  if (wanted.proxyProtocol !== undefined) {
    settings.listeners = settings.listeners.map((listener) =>
      withProxyProtocol(listener, wanted.proxyProtocol === true, settings.trusted_addresses),
    )
  }
  if (wanted.tracing !== undefined) settings.tracing = withRuntimeTracing(settings.tracing, wanted.tracing)
  if (wanted.bodyIdle !== undefined) settings.timeouts = { ...settings.timeouts, body_idle: wanted.bodyIdle }
}

/** Whoever connects: what the PROXY protocol is switched on for stands in front of everything. */
const anybody = ['0.0.0.0/0', '::/0']

/** A listener whose file says whom it believes goes on to believe them alone. */
function withProxyProtocol(
  { proxy_protocol: own, ...listener }: ListenerSettings,
  isOn: boolean,
  trusted: readonly string[],
): ListenerSettings {
  if (!isOn || listener.protocol === 'udp') return listener
  const peers = trusted.length > 0 ? [...trusted] : anybody
  return { ...listener, proxy_protocol: own ?? { trusted: peers, untrusted: 'close' } }
}
