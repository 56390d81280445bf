/** The reference page of the configuration, made from the schemas: what is checked is what is documented. */

import { keptSchemas } from './kept-resources.ts'
import { findingCodes } from './problem.ts'
import { metaSchema, resourceSchemas } from './resources.ts'
import { secretManagerSchemas } from './secret-managers.ts'
import { gatewaySchema } from './settings.ts'
import { singleSettings } from './single-settings.ts'
import { certificateKinds } from './sni-resources.ts'

interface Schema {
  type?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  format?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  required?: string[]
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
  'x-form'?: string
  'x-unsupported'?: Record<string, string> | unknown[]
}

const introduction = `# Configuration

<!-- Made from the schemas in src/config with \`UPDATE_REFERENCE=1 node --test src/config/reference.test.ts\`. -->

A configuration is one or several files, in YAML or JSON, that \`-c\` names; a folder stands for its \`*.yaml\`, \`*.yml\`
and \`*.json\` in the order of their names, without its subfolders. A YAML file may hold several documents, and may end with
\`#END\`. All of them are one configuration: lists add up, and anything that is given twice is an error.

Top-level keys are \`gateway\` and the lists of resources below. Fields that are not listed are errors, and so are fields
of APISIX that this version does not support yet.

## References to environment and secrets

In any string:

| written | means |
|---|---|
| \`\${NAME}\` | the variable NAME (upper-case letters, digits, \`_\`), always a string; \`\${remote_addr}\` and other lower-case names are left as they are |
| \`\${{NAME}}\`, \`\${{NAME:=default}}\` | the same as in APISIX; alone in its string, a number or a boolean becomes one |
| \`$env://NAME\`, \`$env://NAME/KEY\` | a whole string; KEY picks from a variable that holds JSON. In the configuration of policies it is looked up as late as \`$secret://\`, and never shown |
| \`$secret://MANAGER/ID/KEY\` | a whole string in the configuration of policies: what a manager under [secrets](#secrets) has there |
| \`$\${\` | \`\${\` itself |

A variable that is not set is an error. Values of variables are never printed.
`

/** The whole page, as Markdown. */
export function configurationReference(): string {
  const sections = [
    introduction,
    section('gateway', gatewaySchema),
    ...Object.entries(resourceSchemas).map(([kind, schema]) => section(kind, schema)),
    ...certificateKinds.map((kind) => section(kind, keptSchemas[kind])),
    ...Object.entries(secretManagerSchemas).map(([kind, schema]) => section(`secrets: ${kind}`, schema)),
    section('_meta', metaSchema),
    environment(),
    findings(),
  ]
  return `${sections.join('\n').trimEnd()}\n`
}

function section(name: string, jsonSchema: object): string {
  const schema: Schema = jsonSchema
  const rows = [...fieldRows(schema, '')]
  return [
    `## ${name}\n`,
    `${schema.description ?? ''}\n`,
    '| field | value | default | |',
    '|---|---|---|---|',
    ...rows,
    '',
    ...unsupported(schema),
  ].join('\n')
}

function* fieldRows(schema: Schema, prefix: string): Generator<string> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const path = `${prefix}${name}`
    const required = schema.required?.includes(name) === true
    yield row([
      `\`${path}\``,
      describeValue(field),
      required ? 'required' : field.default === undefined ? '' : defaultOf(field.default),
      field.description ?? '',
    ])
    if (field.type === 'object') yield* fieldRows(field, `${path}.`)
    for (const list of [field, ...(field.anyOf ?? [])]) {
      if (list.items?.properties !== undefined) yield* fieldRows(list.items, `${path}[].`)
    }
  }
}

const row = (cells: readonly string[]) =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

function defaultOf(value: unknown): string {
  if (value === '') return ''
  const isEmptyMap = typeof value === 'object' && value !== null && Object.keys(value).length === 0
  return isEmptyMap && !Array.isArray(value) ? '' : `\`${JSON.stringify(value).replaceAll('"', '')}\``
}

function describeValue(schema: Schema): string {
  if (schema['x-form'] !== undefined) return schema['x-form']
  if (schema.anyOf !== undefined && schema.properties === undefined) {
    const isChoice = schema.anyOf.every((branch) => branch.const !== undefined)
    return schema.anyOf.map(describeValue).join(isChoice ? ', ' : ', or ')
  }
  if (schema.const !== undefined) return `\`${schema.const}\``
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ')
  if (schema.format === 'duration') return 'a duration'
  if (schema.format === 'cidr') return 'an address or CIDR block'
  switch (schema.type) {
    case 'array':
      return `a list${schema.items?.properties === undefined && schema.items !== undefined ? ` of: ${describeValue(schema.items)}` : ''}`
    case 'object': {
      const values = Object.values(schema.patternProperties ?? {})[0]
      return values === undefined ? 'a map' : `a map of: ${describeValue(values)}`
    }
    case 'integer':
    case 'number':
      return `a ${schema.type === 'integer' ? 'whole ' : ''}number${range(schema)}`
    case 'boolean':
      return '`true`, `false`'
    default:
      return 'a string'
  }
}

function range({ minimum, exclusiveMinimum, maximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` from ${minimum} on`
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}`
  return maximum === undefined ? '' : ` up to ${maximum}`
}

function unsupported(schema: Schema): string[] {
  const fields = schema['x-unsupported']
  if (fields === undefined || Array.isArray(fields)) return []
  const names = Object.keys(fields).map((name) => `\`${name}\``)
  return [`Not supported by this version yet: ${names.join(', ')}.\n`]
}

function environment(): string {
  const rows = singleSettings.map(({ path, variable }) => row([`\`${variable}\``, `\`${path.join('.')}\``]))
  return [
    '## Settings from the environment\n',
    'Each setting of [gateway](#gateway) has a variable, and with `_FILE` behind its name one for the file that holds its value. They are stronger than the files of the configuration; `--set NAME=VALUE` of `sluice start` is stronger still. A list has commas between its items, or is JSON; a listener may be `PORT` or `HOST:PORT`; what holds maps is JSON. A variable with the prefix `SLUICE_` that sets nothing is a finding.\n',
    '| variable | setting |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function findings(): string {
  const rows = Object.entries(findingCodes).map(([code, meaning]) => row([`\`${code}\``, meaning]))
  return [
    '## Findings\n',
    '`sluice validate` prints everything that is wrong at once, and what is worth knowing. Codes are stable.\n',
    '| code | meaning |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n')
}
