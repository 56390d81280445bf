/** What a GET of a list asks for: which resources, and which page of them. */
import { compilePattern, inBytes, matchesPattern } from '../../config/regular-expression.ts'

type Value = Record<string, unknown>

export interface ListQuery {
  /** Undefined: all of them. */
  accepts?: (value: Value) => boolean
  page?: { number: number; size: number }
}

/** Fields by which `filter` may choose, by kind. */
const filterFields: Readonly<Record<string, readonly string[]>> = {
  routes: ['service_id', 'upstream_id'],
  stream_routes: ['service_id', 'upstream_id'],
}

/** `problem`: the body of a 400. */
export function readListQuery(kind: string, query: URLSearchParams): ListQuery | { problem: string } {
  const tests: ((value: Value) => boolean)[] = []
  for (const [parameter, textsOf] of [
    ['name', namesOf],
    ['uri', urisOf],
  ] as const) {
    const source = query.get(parameter)
    if (source === null) continue
    const pattern = compilePattern(source, false)
    if ('problem' in pattern) return { problem: `the expression in ${parameter} ${pattern.problem}` }
    tests.push((value) => textsOf(value).some((text) => matchesPattern(pattern, inBytes(text))))
  }
  const label = query.get('label')
  if (label !== null) tests.push(({ labels }) => Object.hasOwn((labels as object | undefined) ?? {}, label))
  const filter = query.get('filter')
  if (filter !== null) tests.push(fieldsFilter(kind, new URLSearchParams(filter)))

  const found: ListQuery = {}
  if (tests.length > 0) found.accepts = (value) => tests.every((fits) => fits(value))
  const number = Number(query.get('page') || Number.NaN)
  const size = Number(query.get('page_size') || Number.NaN)
  if (Number.isNaN(number) || Number.isNaN(size)) return found
  if (size < 10 || size > 500) return { problem: 'page_size must be between 10 and 500' }
  return { ...found, page: { number: Math.max(1, Math.floor(number)), size: Math.floor(size) } }
}

const namesOf = ({ name }: Value) => (typeof name === 'string' ? [name] : [])

const urisOf = ({ uri, uris }: Value) =>
  [uri, ...(Array.isArray(uris) ? uris : [])].filter((text) => typeof text === 'string')

/** Fields that cannot be chosen by are left out; of one that is given twice the last counts. */
function fieldsFilter(kind: string, wanted: URLSearchParams): (value: Value) => boolean {
  const fields = (filterFields[kind] ?? []).filter((field) => wanted.has(field))
  return (value) => fields.every((field) => String(value[field]) === wanted.getAll(field).at(-1))
}
