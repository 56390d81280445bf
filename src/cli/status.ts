import { parseArgs } from 'node:util'
import { type Command, exitCode, UsageError } from './command.ts'
import { askGateway, gatewayUrl } from './gateway-client.ts'

const defaultUrl = 'http://127.0.0.1:9090'

export const command: Command = {
  name: 'status',
  summary: 'Show how a running gateway is, and how it stands with its control plane',
  usage: 'sluice status [--gateway URL] [--format text|json]',
  options: [
    { flags: '--gateway URL', text: `Its control port (default: SLUICE_CONTROL_URL, then ${defaultUrl})` },
    { flags: '--format text|json', text: 'For people or for programs (default: text)' },
  ],
  examples: ['sluice status', 'sluice status --format json'],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: { gateway: { type: 'string' }, format: { type: 'string', default: 'text' } },
    })
    if (values.format !== 'text' && values.format !== 'json')
      throw new UsageError(`--format is text or json, not '${values.format}'`)
    const url = gatewayUrl(values.gateway ?? io.env.SLUICE_CONTROL_URL ?? defaultUrl)
    const status = (await askGateway(url, 'GET', '/v1/status')) as GatewayStatus
    io.stdout.write(values.format === 'json' ? `${JSON.stringify(status, null, 2)}\n` : describe(status))
    return exitCode.ok
  },
}

interface GatewayStatus {
  state: string
  listening: number
  threads: number
  restarts: number
  connections: number
  plan: { version: number; applied_at: string | null }
  sync: SyncStatus | null
}

/** As far as it is shown. */
interface SyncStatus {
  registration: { name: string }
  group: { name: string }
  connected: boolean
  last_contact: number
  failure?: string
  desired_status: string
  clock_skew: number
  configuration: {
    state: string
    version: number
    stale: boolean
    expires?: number
    refusal?: { code: string; message: string; findings: { path: string; message: string }[] }
  }
  certificate: { not_after: number }
  without_effect: string[]
}

function describe({ state, listening, threads, restarts, connections, plan, sync }: GatewayStatus): string {
  const rows: [string, string][] = [
    ['gateway', `${state}, ${listening} of ${threads} data threads listen, ${restarts} restarts`],
    ['connections', String(connections)],
    ['plan', `version ${plan.version}${plan.applied_at === null ? '' : `, since ${plan.applied_at}`}`],
    ...((sync === null ? [['control plane', 'none']] : rowsOf(sync)) as [string, string][]),
  ]
  return rows.map(([name, text]) => `${name.padEnd(16)}${text}\n`).join('')
}

function rowsOf(sync: SyncStatus): [string, string][] {
  const { connected, last_contact: contact, failure, configuration, certificate } = sync
  const { version, state, stale, expires, refusal } = configuration
  const rows: [string, string][] = [
    [
      'control plane',
      connected
        ? 'reached'
        : `not reached${contact === 0 ? '' : ` since ${iso(contact)}`}${failure === undefined ? '' : `: ${failure}`}`,
    ],
    ['registered as', `${sync.registration.name}, in the group ${sync.group.name}`],
    [
      'configuration',
      `version ${version}, ${words[state] ?? state}${expires === undefined ? '' : `, ${stale ? 'STALE since' : 'good until'} ${iso(expires)}`}`,
    ],
    ['certificate', `expires ${iso(certificate.not_after)}`],
  ]
  if (refusal !== undefined) {
    rows.push(['refused', `${refusal.code}: ${refusal.message}`])
    for (const { path, message } of refusal.findings.slice(0, 10)) rows.push(['', `${path}: ${message}`])
  }
  if (sync.desired_status === 'STOPPED') rows.push(['traffic', 'STOPPED by the control plane'])
  const { clock_skew: skew } = sync
  if (Math.abs(skew) >= 60) {
    rows.push(['clock', `${Math.abs(skew)} s ${skew > 0 ? 'ahead of' : 'behind'} the control plane`])
  }
  if (sync.without_effect.length > 0) rows.push(['without effect', sync.without_effect.join(', ')])
  return rows
}

const words: Readonly<Record<string, string>> = {
  none: 'none yet',
  kept: 'from the disk, not confirmed yet',
  applied: 'in force',
  refused: 'in force; the last one was refused',
}

const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
