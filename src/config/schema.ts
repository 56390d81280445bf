/**
 * A JSON Schema against a value: Ajv checks and fills in defaults, and its errors become problems in our own words,
 * which name what the schema allows and never the value that was given.
 */
import { createRequire } from 'node:module'
import { isIPv4, isIPv6 } from 'node:net'
import type { ErrorObject, ValidateFunction } from 'ajv'
import { nearest } from './nearest.ts'
import type { FindingCode, PathSegment, Severity } from './problem.ts'
import type { TSchema } from './type.ts'
import { durationPattern, sizePattern } from './units.ts'

export interface SchemaProblem {
  code: FindingCode
  severity: Severity
  /** From the value that was checked. */
  path: PathSegment[]
  at: 'key' | 'value'
  message: string
  hint?: string
}

const compiled = new WeakMap<TSchema, ValidateFunction>()

/** Checks a value and fills the schema's defaults in, in place. No problem: it fits. */
export function checkSchema(schema: TSchema, value: unknown): SchemaProblem[] {
  let validate = compiled.get(schema)
  if (validate === undefined) {
    validate = ajv().compile(schema)
    compiled.set(schema, validate)
  }
  if (validate(value)) return []
  return withoutRepetition((validate.errors ?? []) as VerboseError[]).map((error) => describe(error, value))
}

/** Loaded on first use, and with one set of options for the whole process. */
let instance: import('ajv/dist/2020.js').Ajv2020 | undefined
function ajv() {
  if (instance !== undefined) return instance
  const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  instance = new Ajv2020({
    allErrors: true,
    useDefaults: true,
    verbose: true,
    // The schemas are ours and carry annotations of our own; a test compiles every one.
    strict: false,
    validateSchema: false,
    meta: false,
    // Compiling is a part of every start, and half of it went into making the checks a little faster.
    code: { optimize: false },
    formats: {
      duration: durationPattern,
      size: sizePattern,
      cidr: isCidr,
    },
  })
  return instance
}

function isCidr(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0
  if (bits === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
}

/** Ajv's error with what the option `verbose` adds. */
type VerboseError = ErrorObject<string, Record<string, unknown>> & {
  parentSchema: Record<string, unknown>
}

/**
 * Of a choice (`anyOf`, `oneOf`) Ajv tells the errors of every branch. Those of the branch that was meant stay: the one
 * whose type fits and that has the fewest errors; when no type fits, the choice itself is the error.
 */
function withoutRepetition(errors: VerboseError[]): VerboseError[] {
  let kept = errors.filter((error) => error.keyword !== 'if')
  // Inner choices come before outer ones in Ajv's list, so that each is settled when the outer one is looked at.
  for (const choice of errors) {
    if (choice.keyword !== 'anyOf' && choice.keyword !== 'oneOf') continue
    if (choice.params.passingSchemas != null) continue
    const branches = new Map<string, VerboseError[]>()
    for (const error of kept) {
      if (error === choice || !error.schemaPath.startsWith(`${choice.schemaPath}/`)) continue
      if (!error.instancePath.startsWith(choice.instancePath)) continue
      const branch = error.schemaPath.slice(choice.schemaPath.length + 1).split('/', 1)[0]!
      branches.set(branch, [...(branches.get(branch) ?? []), error])
    }
    const meant = [...branches.values()]
      .filter((branch) => !branch.some((error) => rejectsWhole(error, choice)))
      .sort((a, b) => a.length - b.length)[0]
    const dropped = new Set([...branches.values()].flat())
    if (meant !== undefined) {
      dropped.add(choice)
      for (const error of meant) dropped.delete(error)
    }
    kept = kept.filter((error) => !dropped.has(error))
  }
  return kept
}

const rejectsWhole = (error: VerboseError, choice: VerboseError) =>
  error.instancePath === choice.instancePath && ['type', 'const', 'enum', 'format'].includes(error.keyword)

function describe(error: VerboseError, root: unknown): SchemaProblem {
  const { keyword, params, parentSchema, data } = error
  const path = segments(error.instancePath, root)
  const problem = (code: FindingCode, message: string, hint?: string): SchemaProblem => ({
    code,
    severity: 'error',
    path,
    at: 'value',
    message,
    ...(hint !== undefined && { hint }),
  })
  const form = parentSchema['x-form']
  switch (keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return unknownField(error, path)
    case 'required':
    case 'dependentRequired':
      return problem('missing-field', `the field ${params.missingProperty} is required here`)
    case 'type':
      if (typeof parentSchema.format === 'string' && Object.hasOwn(formats, parentSchema.format)) {
        return problem('wrong-type', `must be ${formats[parentSchema.format]}`)
      }
      return problem('wrong-type', `must be ${typeNames(params.type)}, but is ${typeOf(data)}`)
    case 'enum': {
      const known = params.allowedValues as unknown[]
      const unsupported = parentSchema['x-unsupported'] as unknown[] | undefined
      if (unsupported?.includes(data)) {
        return problem(
          'unsupported-value',
          `${JSON.stringify(data)} is not supported by this version yet`,
          `Supported: ${list(known)}.`,
        )
      }
      const near = typeof data === 'string' ? nearest(data, known.map(String)) : undefined
      return problem(
        typeof data === typeof known[0] ? 'invalid-value' : 'wrong-type',
        `must be ${oneOf(known)}`,
        near && `Did you mean ${near}?`,
      )
    }
    case 'const':
      return problem('invalid-value', `must be ${JSON.stringify(params.allowedValue)}`)
    case 'anyOf':
    case 'oneOf':
      if (params.passingSchemas != null) {
        return problem('conflicting-fields', 'fits more than one of the forms that exclude each other here')
      }
      return problem('wrong-type', typeof form === 'string' ? `must be ${form}` : choiceMessage(error))
    case 'pattern':
      return problem(
        'invalid-value',
        typeof form === 'string' ? `must be ${form}` : `must match the pattern ${params.pattern}`,
      )
    case 'format':
      return problem('invalid-value', `must be ${formats[String(params.format)] ?? params.format}`)
    case 'uniqueItems':
      return problem('invalid-value', `items ${params.j} and ${params.i} are the same`)
    case 'minItems':
      return problem('invalid-value', `must have at least ${items(params.limit)}`)
    case 'maxItems':
      return problem('invalid-value', `must have at most ${items(params.limit)}`)
    case 'minLength':
      return problem('invalid-value', params.limit === 1 ? 'must not be empty' : `is too short`)
    default:
      // Ajv's own words name the limit that the schema sets, not the value.
      return problem('invalid-value', error.message ?? 'is not valid')
  }
}

const formats: Record<string, string> = {
  duration: 'a duration with its unit, such as 250ms, 10s or 5m',
  size: 'a size such as 32KiB or 1MiB',
  cidr: 'an IP address or a CIDR block',
}

function unknownField(error: VerboseError, path: PathSegment[]): SchemaProblem {
  const name = (error.params.additionalProperty ?? error.params.unevaluatedProperty) as string
  const place = { severity: 'error' as const, path: [...path, name], at: 'key' as const }
  const unsupported = error.parentSchema['x-unsupported'] as Record<string, string> | undefined
  const what = unsupported && Object.hasOwn(unsupported, name) ? unsupported[name] : undefined
  if (what !== undefined) {
    return {
      ...place,
      code: 'unsupported-field',
      message: `the field ${name} is not supported by this version yet (${what})`,
      hint: 'Remove it, or keep this part of the configuration on a gateway that supports it.',
    }
  }
  const known = Object.keys((error.parentSchema.properties as object | undefined) ?? {})
  const near = nearest(name, known)
  return {
    ...place,
    code: 'unknown-field',
    message: `there is no field ${name} here`,
    hint: near === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean ${near}?`,
  }
}

function choiceMessage(error: VerboseError): string {
  const branches = error.parentSchema[error.keyword] as Record<string, unknown>[]
  const constants = branches.flatMap((branch) => ('const' in branch ? [branch.const] : []))
  if (constants.length === branches.length) return `must be ${oneOf(constants)}`
  const types = branches.flatMap((branch) => (typeof branch.type === 'string' ? [branch.type] : []))
  if (types.length < branches.length) return 'fits none of the forms that are allowed here'
  return `must be ${typeNames(types)}, but is ${typeOf(error.data)}`
}

const articles: Record<string, string> = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'a map',
  array: 'a list',
  null: 'null',
}

const typeNames = (types: unknown): string =>
  [...new Set([types].flat())].map((type) => articles[String(type)] ?? String(type)).join(' or ')

function typeOf(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return articles.array!
  if (typeof value === 'number') return Number.isInteger(value) ? articles.integer! : articles.number!
  if (typeof value === 'boolean') return 'a boolean'
  return articles[typeof value] ?? typeof value
}

const list = (values: readonly unknown[]) => values.map(String).join(', ')
const oneOf = (values: readonly unknown[]) =>
  values.length === 1 ? String(values[0]) : `one of ${list(values)}`
const items = (limit: unknown) => (limit === 1 ? '1 item' : `${limit} items`)

/** Segments of a JSON pointer (RFC 6901) into a value: numbers for lists, strings for maps. */
function segments(pointer: string, root: unknown): PathSegment[] {
  if (pointer === '') return []
  let at = root
  return pointer
    .slice(1)
    .split('/')
    .map((escaped) => {
      const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
      const segment = Array.isArray(at) ? Number(key) : key
      at = (at as Record<PathSegment, unknown> | undefined)?.[segment]
      return segment
    })
}
