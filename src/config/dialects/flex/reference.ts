/** The page that says what of Flex Gateway is there, made from what the dialect goes by. */
import { flexVariables } from './environment.ts'
import { kindStates } from './model.ts'
import { connectionPolicies, counterparts, notYet, trafficPolicies } from './policies.ts'
import { configurationSchema } from './resources.ts'

export interface FlexCommand {
  readonly flexctl: string
  /** Words behind `sluice`; undefined: there is none. */
  readonly here: string | undefined
}

/** Commands of `flexctl`, and those that do the same. */
export const flexCommands: readonly FlexCommand[] = [
  { flexctl: 'register', here: 'register' },
  { flexctl: 'registration create', here: 'registration create' },
  { flexctl: 'registration inspect', here: 'registration inspect' },
  { flexctl: 'registration renew', here: 'registration renew' },
  { flexctl: 'probe', here: 'healthcheck' },
  { flexctl: 'dump', here: 'routes' },
  { flexctl: 'version', here: 'version' },
  { flexctl: 'migrate', here: undefined },
  { flexctl: 'check connections', here: undefined },
  { flexctl: 'check http', here: undefined },
]

/** Parts of a Configuration that are read and do nothing, or only some of it. */
const partRemarks: Readonly<Record<string, string>> = {
  platformConnection: 'no effect',
  forwardProxy: 'no effect: it is the way to the platform',
  resourceLimits: 'no effect: there is no limit',
  tracing: 'read, with the provider `opentelemetry`',
  logging: 'level of the log; outputs `stdout` and `file` of access logs',
  sharedStorage: 'no effect, with a warning: each gateway counts for itself',
  defaultTLS: '`skipValidation`',
}

export function flexReference(): string {
  const policies = [
    ...[...trafficPolicies].map((name) => [name, 'ApiInstance', 'routes']),
    ...connectionPolicies.map(({ name, binds, here }) => [name, binds, here]),
    ...[...counterparts].map(([name, { policy, binds }]) => [
      name,
      binds === 'service' ? 'Service' : binds === 'both' ? 'ApiInstance, Service' : 'ApiInstance',
      `[${policy}](policies/${policy}.md)`,
    ]),
    ...[...notYet].map((name) => [name, '', 'not yet: refused with a finding']),
  ].toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
  return `# Flex Gateway

What of Flex Gateway's local mode is read, and what it is here. This page is made from the code. The guide is
[Coming from Flex Gateway](../guides/flex.md).

## Kinds

${table(['Kind', 'State'], Object.entries(kindStates))}
## Parts of a Configuration

${table(
  ['Part', 'State'],
  Object.keys(configurationSchema.properties).map((part) => [part, partRemarks[part] ?? 'read']),
)}
## Policies

${table(['Policy', 'Bound to', 'Here'], policies)}
## Environment variables

${table(
  ['Variable', 'Here'],
  flexVariables.map(({ name, here }) => [name, here]),
)}
## Commands

${table(
  ['flexctl', 'Here'],
  flexCommands.map(({ flexctl, here }) => [flexctl, here === undefined ? 'none' : `\`sluice ${here}\``]),
)}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  const named = rows.map(([first = '', ...others]) => line([`\`${first}\``, ...others]))
  return `${line(head)}|${' --- |'.repeat(head.length)}\n${named.join('')}`
}
