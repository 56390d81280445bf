/** Violations in our own words, which name what the schema allows and never the value that was given. */
import { nearest } from '../nearest.ts'
import type { FindingCode, PathSegment, Severity } from '../problem.ts'
import { formats } from './formats.ts'
import type { Violation } from './validation.ts'

export interface SchemaProblem {
  code: FindingCode
  severity: Severity
  /** From the value that was checked. */
  path: PathSegment[]
  at: 'key' | 'value'
  message: string
  hint?: string
}

export function describe(violation: Violation): SchemaProblem {
  const { keyword, schema, value, path } = violation
  const problem = (code: FindingCode, message: string, hint?: string): SchemaProblem => ({
    code,
    severity: 'error',
    path,
    at: 'value',
    message,
    ...(hint !== undefined && { hint }),
  })
  const limit = schema[keyword]
  const form = typeof schema['x-form'] === 'string' ? schema['x-form'] : undefined
  switch (keyword) {
    case 'additionalProperties':
      return unknownField(violation)
    case 'required':
      return problem('missing-field', `the field ${violation.property} is required here`)
    case 'type': {
      const format = formats.get(String(schema.format))
      if (format !== undefined) return problem('wrong-type', `must be ${format.form}`)
      return problem('wrong-type', `must be ${typeNames(limit)}, but is ${typeName(value)}`)
    }
    case 'enum': {
      const known = limit as unknown[]
      const unsupported = schema['x-unsupported'] as unknown[] | undefined
      if (unsupported?.includes(value)) {
        return problem(
          'unsupported-value',
          `${JSON.stringify(value)} is not supported by this version yet`,
          `Supported: ${list(known)}.`,
        )
      }
      const near = typeof value === 'string' ? nearest(value, known.map(String)) : undefined
      return problem(
        typeof value === typeof known[0] ? 'invalid-value' : 'wrong-type',
        `must be ${oneOf(known)}`,
        near && `Did you mean ${near}?`,
      )
    }
    case 'const':
      return problem('invalid-value', `must be ${JSON.stringify(limit)}`)
    case 'anyOf':
    case 'oneOf':
      if (violation.ambiguous === true) {
        return problem('conflicting-fields', 'fits more than one of the forms that exclude each other here')
      }
      return problem('wrong-type', form === undefined ? choiceMessage(violation) : `must be ${form}`)
    case 'pattern':
      return problem(
        'invalid-value',
        form === undefined ? `must match the pattern ${limit}` : `must be ${form}`,
      )
    case 'format':
      return problem('invalid-value', `must be ${formats.get(String(limit))?.form}`)
    case 'uniqueItems': {
      const { earlier, later } = violation.repetition!
      return problem('invalid-value', `items ${earlier} and ${later} are the same`)
    }
    case 'minItems':
      return problem('invalid-value', `must have at least ${count(limit, 'item')}`)
    case 'maxItems':
      return problem('invalid-value', `must have at most ${count(limit, 'item')}`)
    case 'minProperties':
      return problem('invalid-value', `must have at least ${count(limit, 'field')}`)
    case 'maxProperties':
      return problem('invalid-value', `must have at most ${count(limit, 'field')}`)
    case 'propertyNames':
      return {
        ...problem('invalid-value', 'this name is not allowed here'),
        path: [...path, violation.property!],
        at: 'key',
      }
    case 'minLength':
      return problem('invalid-value', limit === 1 ? 'must not be empty' : 'is too short')
    case 'maxLength':
      return problem('invalid-value', `must not be longer than ${count(limit, 'character')}`)
    case 'depth':
      return problem('invalid-value', 'the nesting is too deep')
    case 'not':
    case 'never':
      return problem('invalid-value', form === undefined ? 'is not allowed here' : `must be ${form}`)
    default:
      return problem('invalid-value', `must be ${comparisons[keyword]} ${limit}`)
  }
}

const comparisons: Readonly<Record<string, string>> = {
  minimum: '>=',
  maximum: '<=',
  exclusiveMinimum: '>',
  exclusiveMaximum: '<',
  multipleOf: 'a multiple of',
}

function unknownField({ schema, path, property: name = '' }: Violation): SchemaProblem {
  const place = { severity: 'error' as const, path: [...path, name], at: 'key' as const }
  const unsupported = schema['x-unsupported'] as Record<string, string> | undefined
  const what = unsupported && Object.hasOwn(unsupported, name) ? unsupported[name] : undefined
  if (what !== undefined) {
    const instead = (schema['x-instead'] as Record<string, string> | undefined)?.[name]
    return {
      ...place,
      code: 'unsupported-field',
      message: `the field ${name} is not supported ${instead === undefined ? 'by this version yet ' : ''}(${what})`,
      hint: instead ?? 'Remove it, or keep this part of the configuration on a gateway that supports it.',
    }
  }
  const known = Object.keys((schema.properties as object | undefined) ?? {})
  const near = nearest(name, known)
  return {
    ...place,
    code: 'unknown-field',
    message: `there is no field ${name} here`,
    hint: near === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean ${near}?`,
  }
}

function choiceMessage({ keyword, schema, value }: Violation): string {
  const branches = schema[keyword] as Record<string, unknown>[]
  const constants = branches.flatMap((branch) => ('const' in branch ? [branch.const] : []))
  if (constants.length === branches.length) return `must be ${oneOf(constants)}`
  const types = branches.flatMap((branch) => (typeof branch.type === 'string' ? [branch.type] : []))
  if (types.length < branches.length) return 'fits none of the forms that are allowed here'
  return `must be ${typeNames(types)}, but is ${typeName(value)}`
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

function typeName(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return articles.array!
  if (typeof value === 'number') return Number.isInteger(value) ? articles.integer! : articles.number!
  if (typeof value === 'boolean') return 'a boolean'
  return articles[typeof value] ?? typeof value
}

const list = (values: readonly unknown[]) => values.map(String).join(', ')
const oneOf = (values: readonly unknown[]) =>
  values.length === 1 ? String(values[0]) : `one of ${list(values)}`
const count = (limit: unknown, noun: string) => (limit === 1 ? `1 ${noun}` : `${limit} ${noun}s`)
