/** A schema, as JSON. */
export type SchemaMap = Record<string, unknown>

/** A copy of a schema in which every schema, the innermost first, has become what `change` makes of it. */
export function mapSchemas(schema: object, change: (schema: SchemaMap) => SchemaMap): SchemaMap {
  const result: SchemaMap = {}
  for (const [keyword, setting] of Object.entries(schema))
    result[keyword] = mapKeyword(keyword, setting, change)
  return change(result)
}

function mapKeyword(keyword: string, setting: unknown, change: (schema: SchemaMap) => SchemaMap): unknown {
  const inner = (part: unknown) => (isMap(part) ? mapSchemas(part, change) : part)
  switch (keyword) {
    case 'properties':
    case 'patternProperties':
    case 'dependencies':
    case 'dependentSchemas':
    case '$defs':
      return Object.fromEntries(Object.entries(setting as object).map(([name, part]) => [name, inner(part)]))
    case 'allOf':
    case 'anyOf':
    case 'oneOf':
      return (setting as unknown[]).map(inner)
    case 'items':
    case 'additionalProperties':
    case 'propertyNames':
    case 'not':
    case 'if':
    case 'then':
    case 'else':
      return inner(setting)
    default:
      return setting
  }
}

/** Without annotations of ours, and without what is required and has a default: nobody has to write it. */
export function publicKeywords(schema: SchemaMap): SchemaMap {
  const result: SchemaMap = {}
  for (const [keyword, setting] of Object.entries(schema)) {
    if (!keyword.startsWith('x-')) result[keyword] = setting
  }
  const properties = (schema.properties ?? {}) as Record<string, { default?: unknown } | undefined>
  const required = (schema.required as string[] | undefined)?.filter(
    (name) => properties[name]?.default === undefined,
  )
  if (required?.length === 0) delete result.required
  else if (required !== undefined) result.required = required
  return result
}

function isMap(value: unknown): value is SchemaMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
