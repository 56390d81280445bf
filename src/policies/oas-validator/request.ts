import type { ExchangeRequest } from '../kit/index.ts'
import type { FoundOperation, Parameter, RequestBody } from './specification.ts'

/** What is not looked at. */
export interface Skipped {
  readonly path: boolean
  readonly query: boolean
  readonly header: boolean
}

/** What is wrong with the parameters of a request; undefined: nothing. */
export function parameterFinding(
  { operation, pathValues }: FoundOperation,
  request: ExchangeRequest,
  skipped: Skipped,
): string | undefined {
  const query = new URLSearchParams(request.query)
  for (const parameter of operation.parameters) {
    if (skipped[parameter.in]) continue
    const finding = findingOf(parameter, valuesOf(parameter, request, query, pathValues))
    if (finding !== undefined) return `${parameter.in} parameter ${parameter.name}: ${finding}`
  }
  return undefined
}

function valuesOf(
  { name, in: place }: Parameter,
  { headers }: ExchangeRequest,
  query: URLSearchParams,
  pathValues: ReadonlyMap<string, string>,
): string[] {
  if (place === 'query') return query.getAll(name)
  const value = place === 'path' ? pathValues.get(name) : headers.getAll(name.toLowerCase())
  return value === undefined ? [] : [value]
}

function findingOf(
  { type, memberType, separator, schema, isRequired }: Parameter,
  values: readonly string[],
): string | undefined {
  // Maps are spread over names of their own.
  if (type === 'object') return undefined
  if (values.length === 0) return isRequired ? 'it is required' : undefined
  if (type === 'array') {
    const members = separator === null ? values : values.flatMap((value) => value.split(separator))
    return schema.finding(members.map((member) => read(member.trim(), memberType)))
  }
  return values.length > 1 ? 'it comes more than once' : schema.finding(read(values[0]!, type))
}

/** A text that is none of its type stays a text, which the schema then refuses. */
function read(text: string, type: string | undefined): unknown {
  if (type === 'integer' || type === 'number')
    return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

/** What is wrong with a body; one character a byte. */
export function bodyFinding(
  { isRequired, content }: RequestBody,
  body: string,
  type: string | undefined,
): string | undefined {
  if (body === '') return isRequired ? 'the body is required' : undefined
  if (content.size === 0) return undefined
  const mediaType = (type ?? 'application/json').toLowerCase().split(';')[0]!.trim()
  const found = [mediaType, `${mediaType.split('/')[0]}/*`, '*/*'].find((name) => content.has(name))
  if (found === undefined) return 'no body of this content type is expected'
  const media = content.get(found)
  if (!media) return undefined
  const text = Buffer.from(body, 'latin1').toString()
  if (/[/+]json$/.test(mediaType)) {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return 'the body is no JSON'
    }
    return media.schema.finding(value)
  }
  if (mediaType !== 'application/x-www-form-urlencoded') return undefined
  const form = new Map<string, unknown>()
  for (const [name, value] of new URLSearchParams(text)) {
    const one = read(value, media.types.get(name))
    const before = form.get(name)
    if (before !== undefined) form.set(name, [before, one].flat())
    else form.set(name, media.types.get(name) === 'array' ? [one] : one)
  }
  return media.schema.finding(Object.fromEntries(form))
}
