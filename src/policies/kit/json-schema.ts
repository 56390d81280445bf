/** JSON Schemas that operators write for the messages of others. */
import { isIPv4, isIPv6 } from 'node:net'
import Ajv, { type AnySchemaObject, type Options } from 'ajv'
import Ajv2019 from 'ajv/dist/2019.js'
import Ajv2020 from 'ajv/dist/2020.js'
import { apisixError } from '../../config/apisix-wording.ts'
import type { TSchema } from '../../config/type.ts'
import { changeSchemas, type SchemaMap } from './schema-walk.ts'

export interface JsonSchema {
  /** What is wrong with a value, in the words of APISIX's validator; undefined when nothing is. */
  finding(value: unknown): string | undefined
}

/** As far as formats are checked; others say nothing. */
const formats: Readonly<Record<string, RegExp | ((text: string) => boolean)>> = {
  email: /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/,
  ipv4: isIPv4,
  ipv6: isIPv6,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  'date-time': (text) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text)),
  uri: (text) => URL.canParse(text),
}

/**
 * The first thing that is wrong ends a check. Drafts 4, 6, 7, 2019-09 and 2020-12, by `$schema`, else draft 7.
 * `problem` says what is wrong with the schema. References to other documents are one: nothing is fetched.
 */
export function compileJsonSchema(schema: object): JsonSchema | { problem: string } {
  const draft = String((schema as { $schema?: unknown }).$schema ?? '')
  const { $schema: _, ...plain } = schema as AnySchemaObject
  const wording = wordingOf(plain)
  if (wording !== undefined) return { problem: wording }
  const known = withFixedAnchors(changeSchemas(plain, withJsonTypes))
  const read = (draft.includes('draft-04') ? fromDraft4(known) : known) as AnySchemaObject
  try {
    const fits = validatorFor(draft).compile(read)
    return {
      finding(value) {
        if (fits(value)) return undefined
        return apisixError(read as unknown as TSchema, value) ?? sentenceOf(fits.errors?.[0])
      },
    }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

const types = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null', 'table', 'function']

/** What APISIX says of a schema that is none, where it is one of the common slips. */
function wordingOf(schema: unknown): string | undefined {
  let found: string | undefined
  changeSchemas(schema, (one) => {
    for (const type of [one.type].flat()) {
      if (typeof type === 'string' && !types.includes(type)) found ??= `invalid JSON type: ${type}`
    }
    for (const key of ['enum', 'required']) {
      if (typeof one[key] === 'string') found ??= `${key}: table expected, got string`
    }
    return one
  })
  return found
}

/** APISIX's validator also knows types of Lua: its tables are maps and lists, and no message holds a function. */
function withJsonTypes(schema: SchemaMap): SchemaMap {
  if (schema.type === 'table') return { ...schema, type: ['object', 'array'] }
  if (schema.type !== 'function') return schema
  const { type: _, ...others } = schema
  return { allOf: [others], not: {} }
}

/**
 * Where no schema has an `$id` there is one resource, and a `$dynamicRef` has one place to lead to, as a `$ref` has
 * (2020-12, section 8.2.3.2). Said so, it does not depend on which schemas were gone through before.
 */
function withFixedAnchors(schema: unknown): unknown {
  const anchors: string[] = []
  let hasIds = false
  changeSchemas(schema, (one) => {
    hasIds ||= typeof one.$id === 'string'
    if (typeof one.$dynamicAnchor === 'string') anchors.push(one.$dynamicAnchor)
    return one
  })
  if (hasIds || anchors.length === 0 || new Set(anchors).size < anchors.length) return schema
  return changeSchemas(schema, ({ $dynamicAnchor, $dynamicRef, ...one }) => ({
    ...one,
    ...(typeof $dynamicAnchor === 'string' && { $anchor: $dynamicAnchor }),
    ...(typeof $dynamicRef === 'string' && { $ref: $dynamicRef }),
  }))
}

function validatorFor(draft: string) {
  // 1.13 is a multiple of 0.01, though not in binary.
  const options: Options = {
    strict: false,
    logger: false,
    formats,
    addUsedSchema: false,
    multipleOfPrecision: 9,
  }
  if (draft.includes('2020-12')) return new Ajv2020.default(options)
  if (draft.includes('2019-09')) return new Ajv2019.default(options)
  return new Ajv.default(options)
}

/** Draft 4 has `id` for `$id`, and limits that are made exclusive by a second keyword. */
function fromDraft4(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(fromDraft4)
  if (typeof schema !== 'object' || schema === null) return schema
  const changed: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    changed[key] = key === 'enum' || key === 'default' ? value : fromDraft4(value)
  }
  for (const limit of ['Minimum', 'Maximum']) {
    const exclusive = changed[`exclusive${limit}`]
    if (typeof exclusive !== 'boolean') continue
    delete changed[`exclusive${limit}`]
    if (!exclusive) continue
    changed[`exclusive${limit}`] = changed[limit.toLowerCase()]
    delete changed[limit.toLowerCase()]
  }
  if (typeof changed.id === 'string') {
    changed.$id = changed.id
    delete changed.id
  }
  return changed
}

function sentenceOf(error: { instancePath: string; message?: string } | undefined): string {
  return `${error?.instancePath === '' ? 'the value' : error?.instancePath} ${error?.message ?? 'is not valid'}`
}
