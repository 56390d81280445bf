/** `discovery` of APISIX's own configuration file. It is the same as ours, but takes fields that mean nothing. */
import { discoverySchema } from '../discovery.ts'
import { below, type Place, type Report } from '../report.ts'

interface Schema {
  properties?: Record<string, Schema>
  items?: Schema
  anyOf?: Schema[]
}

/** `gateway.discovery`, as far as there are such registries here. */
export function discoveryOfApisix(
  place: Place,
  discovery: Record<string, unknown>,
  report: Report,
): Record<string, unknown> {
  const { start_timeout: _, ...registries } = (discoverySchema as Schema).properties!
  const used: Record<string, unknown> = {}
  for (const [type, settings] of Object.entries(discovery)) {
    const schema = Object.hasOwn(registries, type) ? registries[type]! : undefined
    if (schema === undefined) {
      ignored(below(place, type), 'this version has no such registry', report)
      continue
    }
    report.add(below(place, type), {
      code: 'used-setting',
      severity: 'info',
      at: 'key',
      message: `used as gateway.discovery.${type}`,
    })
    used[type] = withKnownFields(settings, schema, below(place, type), report)
  }
  return used
}

/** The value without fields that the schema does not have. What is wrong with the others is found later. */
function withKnownFields(value: unknown, schema: Schema, place: Place, report: Report): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const { items } = schema.anyOf?.find((branch) => branch.items !== undefined) ?? schema
    return items === undefined
      ? value
      : value.map((item, index) => withKnownFields(item, items, below(place, index), report))
  }
  const { properties } = schema.anyOf?.find((branch) => branch.properties !== undefined) ?? schema
  if (properties === undefined) return value
  const known: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    const at = below(place, name)
    if (!Object.hasOwn(properties, name)) ignored(at, 'this field has no effect here', report)
    else known[name] = withKnownFields(field, properties[name]!, at, report)
  }
  return known
}

function ignored(place: Place, message: string, report: Report): void {
  report.add(place, { code: 'ignored-field', severity: 'info', at: 'key', message })
}
