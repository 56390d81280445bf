/** What operators see of the connection to a control plane. */
import type { MetricFamily } from '../telemetry/metric-family.ts'
import { instant } from './protocol/delegation.ts'
import type { ReportedRefusal } from './protocol/messages.ts'

/** Times are seconds since 1970. */
export interface SyncStatus {
  registration: { id: string; name: string }
  group: { id: string; name: string }
  instance: string
  /** The control plane answered the last request. */
  connected: boolean
  /** 0: never. */
  last_contact: number
  /** Why it did not answer. */
  failure?: string
  configuration: {
    /** `kept`: it comes from the disk, and the control plane has not confirmed it yet. */
    state: 'none' | 'kept' | 'applying' | 'applied' | 'refused'
    version: number
    sha256?: string
    expires?: number
    stale: boolean
    /** Of the last bundle, when it was refused. */
    refusal?: ReportedRefusal
  }
  desired_status: 'STARTED' | 'STOPPED'
  certificate: { serial: string; not_after: number }
  /** Seconds by which this clock is ahead of the control plane's. */
  clock_skew: number
  /** Since the start. */
  failures: number
  refusals: Readonly<Record<string, number>>
  /** Fields of the runtime configuration that have no effect in this version. */
  without_effect: readonly string[]
}

/** One line for each fact, in the form of health checks. None of them takes the gateway out of service. */
export function syncChecks(
  status: SyncStatus,
  now: number,
): { name: string; passed: boolean; detail: string }[] {
  const { connected, last_contact: contact, failure, configuration, certificate } = status
  const { version, state, stale, expires, refusal } = configuration
  const reached = contact === 0 ? 'it was not reached since the start' : `last reached ${now - contact} s ago`
  const from = state === 'kept' ? ' from the disk: the control plane has not confirmed it yet' : ''
  const until = expires === undefined ? '' : stale ? `, stale since ${instant(expires)}` : ''
  return [
    {
      name: 'control plane',
      passed: connected,
      detail: connected ? 'reached' : `${reached}${failure === undefined ? '' : ` (${failure})`}`,
    },
    {
      name: 'configuration in sync',
      passed: state === 'applied' && !stale,
      detail: `version ${version}${from}${until}${refusal === undefined ? '' : `; the last one was refused: ${refusal.code}`}`,
    },
    {
      name: 'registration certificate',
      passed: certificate.not_after > now,
      detail: `${certificate.not_after > now ? 'expires' : 'expired'} at ${instant(certificate.not_after)}`,
    },
  ]
}

export function syncFamilies(status: SyncStatus): MetricFamily[] {
  const { configuration } = status
  const gauge = (name: string, help: string, value: number): MetricFamily => ({
    name: `sluice_sync_${name}`,
    help,
    type: 'gauge',
    values: [{ labels: {}, value }],
  })
  return [
    gauge('connected', 'Whether the control plane answered the last request.', status.connected ? 1 : 0),
    gauge('last_contact_timestamp_seconds', 'When the control plane answered last.', status.last_contact),
    gauge(
      'configuration_version',
      'Version of the configuration of the control plane that is in force.',
      configuration.version,
    ),
    gauge(
      'configuration_stale',
      'Whether the configuration in force has expired.',
      configuration.stale ? 1 : 0,
    ),
    gauge(
      'configuration_expiry_timestamp_seconds',
      'When the configuration in force expires.',
      configuration.expires ?? 0,
    ),
    gauge(
      'certificate_expiry_timestamp_seconds',
      'When the certificate of the registration expires.',
      status.certificate.not_after,
    ),
    gauge(
      'clock_skew_seconds',
      'By how much the clock is ahead of that of the control plane.',
      status.clock_skew,
    ),
    {
      name: 'sluice_sync_failures_total',
      help: 'Requests to the control plane without a usable answer.',
      type: 'counter',
      values: [{ labels: {}, value: status.failures }],
    },
    {
      name: 'sluice_sync_refused_total',
      help: 'Bundles that were refused, by reason.',
      type: 'counter',
      values: Object.entries(status.refusals).map(([code, value]) => ({ labels: { code }, value })),
    },
  ]
}
