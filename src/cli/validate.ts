import { parseArgs } from 'node:util'
import type { CheckResult } from '../config/check.ts'
import { chooseSources, load } from '../config/load.ts'
import { type Plan, resourceKinds } from '../config/plan.ts'
import { type Finding, formatFinding, type Severity } from '../config/problem.ts'
import { dataThreadsOf } from '../config/settings.ts'
import { checkWithPolicies } from '../policy-modules.ts'
import { version } from '../version.ts'
import { type CliIo, type Command, exitCode, UsageError } from './command.ts'
import { settingFlags } from './setting-flags.ts'

export const command: Command = {
  name: 'validate',
  summary: 'Check a configuration and say what it would run',
  usage: 'sluice validate [-c FILE_OR_FOLDER]... [--set NAME=VALUE]... [--secrets] [--format text|json]',
  options: [
    {
      flags: '-c, --config FILE_OR_FOLDER',
      text: 'What to check; repeatable (default: ./sluice.yaml, then /etc/sluice/)',
    },
    { flags: '--set NAME=VALUE', text: 'A single setting, such as log.level=debug; repeatable' },
    { flags: '--secrets', text: 'Ask secret managers whether there is what references lead to' },
    { flags: '--format text|json', text: 'How to print findings and summary (default: text)' },
  ],
  examples: [
    'sluice validate -c examples/quickstart',
    'sluice validate -c apisix.yaml -c config.yaml',
    'sluice validate -c gateway.json --format json',
  ],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string', short: 'c', multiple: true, default: [] },
        set: { type: 'string', multiple: true, default: [] },
        secrets: { type: 'boolean', default: false },
        format: { type: 'string', default: 'text' },
      },
    })
    if (values.format !== 'text' && values.format !== 'json') {
      throw new UsageError(`--format is text or json, not '${values.format}'`)
    }
    const sources = await chooseSources(values.config, io.cwd, io.env)
    const loaded = await load(sources, io.env, io.cwd, await settingFlags(values.set))
    const checked = await checkWithPolicies(loaded, io.cwd, { gatewayVersion: version, planOnly: true })
    const { plan, findings } = values.secrets ? await withSecrets(checked, io) : checked
    const report = { valid: plan !== undefined, findings, ...(plan && { summary: summarise(plan) }) }
    io.stdout.write(values.format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : asText(report))
    return report.valid ? exitCode.ok : exitCode.invalid
  },
}

async function withSecrets(checked: CheckResult, io: CliIo): Promise<CheckResult> {
  const { readerOf } = await import('../secrets/reader.ts')
  const { verifySecrets } = await import('../secrets/verification.ts')
  return verifySecrets(checked, readerOf(io))
}

/** What a plan would run. */
interface Summary {
  listeners: { name: string; protocol: string; host: string; port: number }[]
  /** Where the other endpoints listen; those that are off are left out. */
  endpoints: { name: string; host: string; port: number }[]
  workers: number
  resources: Record<string, number>
}

interface ValidationReport {
  valid: boolean
  findings: Finding[]
  summary?: Summary
}

function summarise(plan: Plan): Summary {
  const { listeners, control, metrics, admin } = plan.settings
  return {
    listeners,
    endpoints: Object.entries({ control, metrics, admin })
      .filter(([, { enabled }]) => enabled)
      .map(([name, { host, port }]) => ({ name, host, port })),
    workers: dataThreadsOf(plan.settings),
    resources: Object.fromEntries(resourceKinds.map((kind) => [kind, plan[kind].size])),
  }
}

function asText({ valid, findings, summary }: ValidationReport): string {
  const lines = findings.map(formatFinding)
  if (findings.length > 0) lines.push('\n')
  if (summary !== undefined) lines.push(summaryText(summary))
  const errors = count(findings, 'error')
  const warnings = count(findings, 'warning')
  const tally = [plural(errors, 'error'), plural(warnings, 'warning')].filter((part) => part !== '')
  lines.push(`${valid ? 'valid' : 'not valid'}${tally.length > 0 ? `: ${tally.join(', ')}` : ''}\n`)
  return lines.join('')
}

function summaryText({ listeners, endpoints, workers, resources }: Summary): string {
  const places = [
    ...listeners.map(({ name, protocol, host, port }) => `  ${name}: ${protocol} on ${host}:${port}`),
    ...endpoints.map(({ name, host, port }) => `  ${name}: ${host}:${port}`),
  ]
  const counts = Object.entries(resources)
    .filter(([, size]) => size > 0)
    .map(([kind, size]) => `${size} ${size === 1 ? singular(kind) : kind.replaceAll('_', ' ')}`)
  return [
    `would listen with ${plural(workers, 'data thread')}:`,
    ...places,
    `and serve ${counts.join(', ') || 'nothing'}`,
    '',
  ].join('\n')
}

const singular = (kind: string) =>
  (kind === 'plugin_metadata' ? kind : kind.slice(0, -1)).replaceAll('_', ' ')
const count = (findings: readonly Finding[], severity: Severity) =>
  findings.filter((finding) => finding.severity === severity).length
const plural = (size: number, noun: string) => (size === 0 ? '' : `${size} ${noun}${size === 1 ? '' : 's'}`)
