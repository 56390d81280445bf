import type { ExchangeRequest } from '../kit/index.ts'

/** Names of fields that a schema mentions, wherever it does. */
export function namesIn(schema: unknown, names = new Set<string>()): Set<string> {
  if (typeof schema !== 'object' || schema === null) return names
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'required' && Array.isArray(value)) for (const name of value) names.add(String(name))
    if (key === 'properties' && typeof value === 'object') for (const name in value) names.add(name)
    namesIn(value, names)
  }
  return names
}

/** Fields as a map, under the spelling of the schema where it has one, else in lower case. */
export function headersFor(headers: ExchangeRequest['headers'], spellings: ReadonlySet<string>): object {
  const fields = new Map<string, string | string[]>()
  headers.forEach((name, value) => {
    const lower = name.toLowerCase()
    const before = fields.get(lower)
    fields.set(lower, before === undefined ? value : [before, value].flat())
  })
  for (const name of spellings) {
    const lower = name.toLowerCase().replaceAll('_', '-')
    const value = fields.get(lower)
    if (name === lower || value === undefined) continue
    fields.set(name, value)
    fields.delete(lower)
  }
  return Object.fromEntries(fields)
}
