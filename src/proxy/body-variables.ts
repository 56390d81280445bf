/**
 * Variables whose values stand in the request's body: `post_arg_x`, `post_arg.a.b`, `graphql_name`. A body of another
 * type, one that is too large or that does not parse has none of them, and only one that could have them is waited for.
 */
import { isJsonPath, parseJsonPath } from '../config/json-path.ts'
import { inBytes } from '../config/regular-expression.ts'
import type { Exchange } from './exchange.ts'
import { type GraphqlOperation, readGraphql } from './graphql.ts'
import { bodyLimits } from './held-body.ts'
import { queryJson } from './json-path.ts'
import { readMultipart } from './multipart.ts'
import { firstPair, forEachPair } from './query.ts'

export type Value = string | number | boolean | null | readonly unknown[] | object | undefined

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'
const MULTIPART_TYPE = 'multipart/form-data'

/** `post_arg_NAME`: of a form. */
export function formField(name: string): (exchange: Exchange) => Value {
  return (x) => {
    if (!contentType(x).startsWith(FORM_TYPE)) return undefined
    const form = x.request.heldBody(bodyLimits.post_args)
    return form === null ? undefined : firstPair(form, name)
  }
}

/** `post_arg.PATH`: of a form, of JSON or of a multipart form. */
export function bodyField(path: string): (exchange: Exchange) => Value {
  const steps = isJsonPath(path) ? parseJsonPath(path) : undefined
  if (steps !== undefined) {
    return (x) => {
      const found = queryJson(bodyTable(x), steps)
      return found.length === 0 ? undefined : found.map(comparable)
    }
  }
  const names = path.split('.')
  return (x) => {
    let value: unknown = bodyTable(x)
    for (const name of names) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
      value = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
    }
    return comparable(value)
  }
}

/** `graphql_operation`, `graphql_name` and `graphql_root_fields`; APISIX knows no other. */
export const graphqlFields: Readonly<Record<string, (operation: GraphqlOperation) => Value>> = {
  operation: ({ operation }) => operation,
  name: ({ name }) => name,
  root_fields: ({ rootFields }) => rootFields,
}

export function graphqlField(field: (operation: GraphqlOperation) => Value): (exchange: Exchange) => Value {
  return (x) => {
    const operation = graphqlOf(x)
    return operation === undefined ? undefined : field(operation)
  }
}

export function wholeBody(x: Exchange): Value {
  return x.request.heldBody(bodyLimits.post_args) ?? undefined
}

/** What a body was parsed to, for as long as its exchange lives. */
const tables = new WeakMap<Exchange, { body: string; value: unknown }>()
const operations = new WeakMap<Exchange, { body: string; value: GraphqlOperation | undefined }>()

function bodyTable(x: Exchange): unknown {
  const type = contentType(x)
  const read = [JSON_TYPE, FORM_TYPE, MULTIPART_TYPE].find((known) => type.includes(known))
  if (read === undefined) return undefined
  const body = x.request.heldBody(bodyLimits.post_args)
  if (body === null) return undefined
  let table = tables.get(x)
  // A policy may have put another body in its place.
  if (table?.body !== body) {
    table = { body, value: parsed(body, read, x.request.headers.get('content-type') ?? '') }
    tables.set(x, table)
  }
  return table.value
}

function parsed(body: string, type: string, contentType: string): unknown {
  if (type === JSON_TYPE) return parseJson(body)
  if (type === FORM_TYPE) return formTable(body)
  const parts = readMultipart(body, contentType)
  return parts === null
    ? undefined
    : Object.fromEntries(Array.from(parts, ([name, value]) => [fromBytes(name), fromBytes(value)]))
}

/** Undefined when it is no JSON. */
function parseJson(body: string): unknown {
  try {
    return JSON.parse(fromBytes(body))
  } catch {
    return undefined
  }
}

function formTable(form: string): object {
  const table: Record<string, string | true | (string | true)[]> = Object.create(null)
  forEachPair(form, (nameInBytes, valueInBytes) => {
    const name = fromBytes(nameInBytes)
    const value = valueInBytes === true || fromBytes(valueInBytes)
    const before = table[name]
    if (before === undefined) table[name] = value
    else if (Array.isArray(before)) before.push(value)
    else table[name] = [before, value]
  })
  return table
}

function graphqlOf(x: Exchange): GraphqlOperation | undefined {
  const { method, query } = x.request
  if (method !== 'GET' && method !== 'POST') return undefined
  const text = method === 'GET' ? firstPair(query, 'query') : x.request.heldBody(bodyLimits.graphql)
  if (typeof text !== 'string') return undefined
  let operation = operations.get(x)
  if (operation?.body !== text) {
    const isJson = method === 'POST' && contentType(x).startsWith(JSON_TYPE)
    const document = isJson ? (parseJson(text) as { query?: unknown } | null | undefined)?.query : text
    operation = { body: text, value: typeof document === 'string' ? readGraphql(document) : undefined }
    operations.set(x, operation)
  }
  return operation.value
}

function contentType(x: Exchange): string {
  return x.request.headers.get('content-type') ?? ''
}

function fromBytes(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, 'latin1').toString()
}

/** Texts as everything else that came in: one character a byte. */
function comparable(value: unknown): Value {
  return typeof value === 'string' ? inBytes(value) : (value as Value)
}
