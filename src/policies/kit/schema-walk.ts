/** JSON Schemas of others, gone through without taking what they describe for a part of them. */

export type SchemaMap = Readonly<Record<string, unknown>>

const mapsOfSchemas = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
  'schemas',
])
const values = new Set(['enum', 'const', 'default', 'examples', 'example'])

/** The schema with `change` applied to every map in it that is a schema, from the outermost. */
export function changeSchemas(schema: unknown, change: (one: SchemaMap) => SchemaMap): unknown {
  if (Array.isArray(schema)) return schema.map((one) => changeSchemas(one, change))
  if (!isMap(schema)) return schema
  const members = Object.entries(change(schema)).map(([key, value]) => {
    if (values.has(key)) return [key, value] as const
    if (!mapsOfSchemas.has(key) || !isMap(value)) return [key, changeSchemas(value, change)] as const
    const named = Object.entries(value).map(([name, one]) => [name, changeSchemas(one, change)] as const)
    return [key, Object.fromEntries(named)] as const
  })
  return Object.fromEntries(members)
}

function isMap(value: unknown): value is SchemaMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
