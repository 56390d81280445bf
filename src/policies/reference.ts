/** The reference of all policies, made from their schemas. A test holds `docs/reference/policies` to it. */
import type { TObject, TSchema } from 'typebox'
import { stringify } from 'yaml'
import { examples, type PolicyExample } from './examples.ts'
import type { AnyPolicy } from './kit/policy.ts'

/** What the page says of a schema, as JSON Schema has it. */
interface Described {
  type?: string
  enum?: readonly string[]
  anyOf?: readonly Described[]
  const?: unknown
  items?: Described
  properties?: Readonly<Record<string, Described>>
  patternProperties?: Readonly<Record<string, Described>>
  required?: readonly string[]
  default?: unknown
  description?: string
  'x-upstream'?: boolean
}

/** All policies on one page. */
export function policyReference(policies: readonly AnyPolicy[]): string {
  return `${introduction}\n${policies.toSorted(byName).map(section).join('\n')}`
}

/** One page for each policy, and one that leads to them, by the names of their files in `docs/reference/policies`. */
export function policyPages(policies: readonly AnyPolicy[]): Map<string, string> {
  const sorted = policies.toSorted(byName)
  const rows = sorted.map(({ name, stage, priority, summary }) => [
    `[${name}](${name}.md)`,
    stage,
    String(priority),
    escapePipes(summary),
  ])
  const index = `${introduction}\n${table([['Policy', 'Stage', 'Priority', 'What it does'], ...rows])}`
  const pages = new Map([['README.md', index]])
  for (const policy of sorted) pages.set(`${policy.name}.md`, page(section(policy)))
  return pages
}

const byName = (a: AnyPolicy, b: AnyPolicy) => (a.name < b.name ? -1 : 1)

/** A section as a page of its own, one folder deeper and away from the others. */
function page(text: string): string {
  return text
    .replace(/^## /, '# ')
    .replaceAll('](../', '](../../')
    .replace(/\]\(#([a-z-]+)\)/g, ']($1.md)')
}

const introduction = `# Policies

Made from the schemas in \`src/policies\`; change it there.

A policy stands under \`plugins\` of a route, a service, a plugin config, a global rule or a consumer. Beside its own
settings it takes \`_meta\`: \`disable\`, \`priority\`, \`error_response\`, \`mode\` and \`on_error\`. Policies run in two
passes: stages identify and transform before the consumer is known, authorize and limit after; within a pass, the
higher priority runs first.

Each has an example, which the tests run. Services that examples name stand for your own: HTTP on port 9301, lines on
port 9302.
`

function section(policy: AnyPolicy): string {
  const parts = [
    `## ${policy.name}\n\n${policy.summary}\n`,
    `Stage ${policy.stage}, priority ${policy.priority}.${policy.stream === undefined ? '' : ' Runs on [streams](../guides/streams.md), too.'}\n`,
    fields('Setting', policy.config),
  ]
  if (policy.credential)
    parts.push(`A consumer or its credential carries:\n`, fields('Field', policy.credential))
  if (policy.metadata) parts.push('`plugin_metadata` takes:\n', fields('Field', policy.metadata))
  if (policy.details) parts.push(`${policy.details}\n`)
  const example = (examples as Readonly<Record<string, PolicyExample>>)[policy.name]
  if (example !== undefined) parts.push(exampleText(policy.name, example))
  return parts.join('\n')
}

/** What stands in the gateway's configuration, as far as the policy is concerned. */
function exampleText(
  name: string,
  { config, credential, metadata, beside, tier, proto }: PolicyExample,
): string {
  const route = { id: 'orders', uri: '/*', upstream_id: 'orders', plugins: { ...beside, [name]: config } }
  const text = stringify(
    {
      routes: [route],
      ...(credential && { consumers: [{ username: 'alice', plugins: { [name]: credential } }] }),
      ...(tier && { contracts: [{ id: 'alice-orders', consumer: 'alice', route_id: 'orders', tier }] }),
      ...(proto && { protos: [proto] }),
      ...(metadata && { plugin_metadata: [{ id: name, ...metadata }] }),
    },
    { lineWidth: 110, aliasDuplicateObjects: false },
  )
  return `\`\`\`yaml\n${text}\`\`\`\n`
}

function fields(heading: string, schema: TObject): string {
  const rows = rowsOf(schema as TSchema as Described, '')
  if (rows.length === 0) return 'It has no settings.\n'
  return table([[heading, 'Type', 'Default', 'Meaning'], ...rows.map((row) => row.map(escapePipes))])
}

function escapePipes(cell: string): string {
  return cell.replaceAll('|', '\\|')
}

/** With columns of even width, as the formatter wants them. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |\n`
  const rule = widths.map((width) => '-'.repeat(width))
  return [rows[0]!, rule, ...rows.slice(1)].map(line).join('')
}

type Row = [name: string, type: string, fallback: string, meaning: string]

function rowsOf(schema: Described, path: string): Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]): Row[] => {
    const full = `${path}${name}`
    const row: Row = [`\`${full}\``, typeOf(field), defaultOf(field, schema, name), field.description ?? '']
    // What an upstream may say stands in the reference of the configuration.
    if (field['x-upstream']) return [row]
    if (field.type === 'array' && field.items?.properties) return [row, ...rowsOf(field.items, `${full}[].`)]
    return field.properties ? [row, ...rowsOf(field, `${full}.`)] : [row]
  })
}

function defaultOf(field: Described, owner: Described, name: string): string {
  if (field.default !== undefined) return `\`${JSON.stringify(field.default)}\``
  return owner.required?.includes(name) ? 'required' : '-'
}

function typeOf(field: Described): string {
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(', ')
  if (field.const !== undefined) return `\`${field.const}\``
  if (field.anyOf) return [...new Set(field.anyOf.map(typeOf))].join(' or ')
  if (field.type === 'array')
    return `list of ${field.items?.type === 'object' ? 'objects' : typeOf(field.items ?? {})}`
  if (field.type === 'object' && field.patternProperties) return 'texts by name'
  return field.type === 'string' ? 'text' : (field.type ?? 'any')
}
