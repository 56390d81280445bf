/** What a request says, as values for the fields of a message. */
import { type ExchangeRequest, readPairs } from '../kit/index.ts'
import { EncodeError, type EncodeStyle, type Values } from './encoder.ts'
import type { BoundMethod } from './http-binding.ts'

export interface RequestValues extends EncodeStyle {
  readonly values: Values
}

/** Parameters that are read of a query or a form. */
const mostPairs = 100

const withJson = new Set(['POST', 'PUT', 'PATCH'])

/** Whether the body is asked for. */
export const readsBody = (method: string): boolean => withJson.has(method)

/**
 * As APISIX chooses: JSON that can be read, else the form of a POST, else the query.
 * @param body one character a byte
 */
export function plainValues({ method, headers, query }: ExchangeRequest, body: string): RequestValues {
  if (withJson.has(method) && headers.get('content-type')?.includes('application/json')) {
    const values = jsonOf(body)
    if (isMap(values)) return { values, isText: false }
  }
  return { values: pairs(method === 'POST' ? body : query), isText: true }
}

/** By a rule of `google.api.http`. @throws EncodeError */
export function boundValues({ body: wanted, path }: BoundMethod, query: string, body: string): RequestValues {
  const values: Record<string, unknown> = Object.create(null)
  // The query says what neither path nor body does.
  if (wanted !== '*') for (const [name, value] of Object.entries(pairs(query))) place(values, name, value)
  if (wanted !== undefined && body !== '') {
    const given = jsonOf(body)
    if (given === undefined) throw new EncodeError('the body is no JSON')
    if (wanted !== '*') values[wanted] = given
    else if (isMap(given)) Object.assign(values, given)
    else throw new EncodeError('the body is no map')
  }
  for (const [field, value] of path) place(values, field, value)
  return { values, isText: true }
}

/** Undefined: it is none. Whole numbers keep all their digits. */
function jsonOf(body: string): unknown {
  const exact = (_: string, value: unknown, { source }: { source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '') ? source : value
  try {
    return JSON.parse(Buffer.from(body, 'latin1').toString(), exact as Parameters<typeof JSON.parse>[1])
  } catch {
    return undefined
  }
}

function pairs(text: string): Values {
  const values: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(readPairs(text, mostPairs))) {
    const texts = [value].flat().map((one) => (one === true ? true : utf8(one)))
    values[utf8(name)] = texts.length === 1 ? texts[0] : texts
  }
  return values
}

const utf8 = (bytes: string) => Buffer.from(bytes, 'latin1').toString()

/** Puts a value under `a.b`. */
function place(values: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop()!
  let at = values
  for (const name of names) {
    if (!isMap(at[name])) at[name] = Object.create(null)
    at = at[name] as Record<string, unknown>
  }
  at[last] = value
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
