/** JSON Schemas that operators write for the messages of others. */
import { isIPv4, isIPv6 } from 'node:net'
import Ajv, { type AnySchemaObject, type Options } from 'ajv'
import Ajv2019 from 'ajv/dist/2019.js'
import Ajv2020 from 'ajv/dist/2020.js'
import { apisixError } from '../../config/apisix-wording.ts'
import type { TSchema } from '../../config/type.ts'

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
  const read = (draft.includes('draft-04') ? fromDraft4(plain) : plain) as AnySchemaObject
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
