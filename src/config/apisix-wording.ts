/**
 * What is wrong with a value in the words of APISIX's validator, for clients of the Admin API that read them: one error,
 * the first in its order of keywords, where ours tells all. As in api7/jsonschema, the library of APISIX 3.18. Where
 * that goes through a map in no particular order, this follows the schema, and for other keys the value.
 */
import { apisixSchema, type JsonSchema } from './apisix-schema.ts'
import { copy, equal } from './copy.ts'
import { formats } from './schema/formats.ts'
import { firstRepetition } from './schema/repetition.ts'
import { isSecretReference } from './secret-reference.ts'
import type { TSchema } from './type.ts'

type Value = Record<string, unknown>

/** Undefined when nothing is wrong in the eyes of APISIX's validator, which lacks keywords that ours has. */
export function apisixError(schema: TSchema, value: unknown): string | undefined {
  return errorOf(apisixSchema(schema), copy(value))
}

/** Fills defaults in, as APISIX's validator does while it goes along: later keywords see them. */
function errorOf(schema: JsonSchema | boolean, value: unknown): string | undefined {
  if (schema === true) return undefined
  if (schema === false) return 'expect false always'
  // APISIX's validator does not look at references, whatever the schema is.
  const { type = 'string' } = schema
  if (typeof value === 'string' && type === 'string' && isSecretReference(value)) return undefined
  return (
    typeError(schema, value) ??
    mapError(schema, value) ??
    listError(schema, value) ??
    stringError(schema, value) ??
    numberError(schema, value) ??
    enumError(schema, value) ??
    choiceError(schema, value) ??
    formatError(schema, value) ??
    ('const' in schema && !equal(schema.const, value) ? 'failed to check const value' : undefined)
  )
}

const fits = (schema: JsonSchema | boolean, value: unknown) => errorOf(schema, value) === undefined

function typeError({ type }: JsonSchema, value: unknown): string | undefined {
  if (type === undefined) return undefined
  if (Array.isArray(type)) {
    if (type.some((one) => isOfType(one, value))) return undefined
    return `wrong type: expected one of ${type.join(', ')}, got ${luaType(value)}`
  }
  return isOfType(type, value) ? undefined : `wrong type: expected ${type}, got ${luaType(value)}`
}

/** Lua has one empty table, which is a map and a list. */
function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isMap(value)
    case 'array':
      return Array.isArray(value) || (isMap(value) && Object.keys(value).length === 0)
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    default:
      return typeof value === type
  }
}

function isMap(value: unknown): value is Value {
  return typeof value === 'object' && value !== null && !(Array.isArray(value) && value.length > 0)
}

function mapError(schema: JsonSchema, value: unknown): string | undefined {
  if (!isMap(value)) return undefined
  return (
    propertiesError(schema, value) ??
    requiredError(schema, value) ??
    dependencyError(schema, value) ??
    furtherPropertiesError(schema, value) ??
    sizeError(schema, value)
  )
}

function propertiesError(schema: JsonSchema, value: Value): string | undefined {
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const byDefault = typeof inner === 'object' ? inner.default : undefined
    if (has(value, name)) {
      const fault = errorOf(inner, value[name])
      if (fault !== undefined) return `property "${name}" validation failed: ${fault}`
      const missing = dependencyOf(schema, name, value)
      if (missing !== undefined) return missing
    } else if (byDefault !== undefined) {
      value[name] = copy(byDefault)
    } else if (schema.required?.includes(name)) {
      return `property "${name}" is required`
    }
  }
  return undefined
}

function requiredError({ required = [] }: JsonSchema, value: Value): string | undefined {
  const missing = required.find((name) => !has(value, name))
  return missing === undefined ? undefined : `property "${missing}" is required`
}

function dependencyError(schema: JsonSchema, value: Value): string | undefined {
  for (const name of Object.keys(schema.dependencies ?? {})) {
    if (Object.hasOwn(schema.properties ?? {}, name) || !has(value, name)) continue
    const fault = dependencyOf(schema, name, value)
    if (fault !== undefined) return fault
  }
  return undefined
}

function dependencyOf(schema: JsonSchema, name: string, value: Value): string | undefined {
  const needed = schema.dependencies?.[name]
  if (needed === undefined) return undefined
  if (Array.isArray(needed)) {
    const missing = needed.find((other) => !has(value, other))
    return missing === undefined ? undefined : `property "${missing}" is required when "${name}" is set`
  }
  const fault = errorOf(needed, value)
  return fault === undefined ? undefined : `failed to validate dependent schema for "${name}": ${fault}`
}

function furtherPropertiesError(schema: JsonSchema, value: Value): string | undefined {
  const { patternProperties = {}, additionalProperties: additional = true } = schema
  const patterns = Object.entries(patternProperties).map(([source, inner]) => ({
    source,
    pattern: new RegExp(source, 'u'),
    inner,
  }))
  for (const [name, item] of Object.entries(value)) {
    let isNamed = Object.hasOwn(schema.properties ?? {}, name)
    for (const { source, pattern, inner } of patterns) {
      if (!pattern.test(name)) continue
      const fault = errorOf(inner, item)
      if (fault !== undefined) return `failed to validate ${name} (matching ${quote(source)}): ${fault}`
      isNamed = true
    }
    if (isNamed || additional === true) continue
    if (additional === false) return `additional properties forbidden, found ${name}`
    const fault = errorOf(additional, item)
    if (fault !== undefined) return `failed to validate additional property ${name}: ${fault}`
  }
  return undefined
}

function sizeError({ minProperties, maxProperties, required }: JsonSchema, value: Value): string | undefined {
  const count = Object.keys(value).length
  if (minProperties !== undefined && count < minProperties) {
    return `expect object to have at least ${minProperties} properties`
  }
  if (maxProperties !== undefined && count > maxProperties) {
    return `expect object to have at most ${maxProperties} properties`
  }
  return required?.length === 0 && count > 0 ? 'the input data should be an empty table' : undefined
}

function listError(schema: JsonSchema, value: unknown): string | undefined {
  if (!Array.isArray(value)) return undefined
  const { items, minItems, maxItems, uniqueItems } = schema
  if (minItems !== undefined && value.length < minItems) {
    return `expect array to have at least ${minItems} items`
  }
  if (maxItems !== undefined && value.length > maxItems) {
    return `expect array to have at most ${maxItems} items`
  }
  if (items !== undefined) {
    for (const [index, item] of value.entries()) {
      const fault = errorOf(items, item)
      if (fault !== undefined) return `failed to validate item ${index + 1}: ${fault}`
    }
  }
  const repetition = uniqueItems === true ? firstRepetition(value) : undefined
  if (repetition === undefined) return undefined
  return `expected unique items but items ${repetition.earlier + 1} and ${repetition.later + 1} are equal`
}

function stringError({ minLength, maxLength, pattern }: JsonSchema, value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const length = minLength === undefined && maxLength === undefined ? 0 : [...value].length
  if (minLength !== undefined && length < minLength) {
    return `string too short, expected at least ${minLength}, got ${length}`
  }
  if (maxLength !== undefined && length > maxLength) {
    return `string too long, expected at most ${maxLength}, got ${length}`
  }
  if (pattern === undefined || new RegExp(pattern, 'u').test(value)) return undefined
  return `failed to match pattern ${quote(pattern)} with ${quote(value)}`
}

function numberError(schema: JsonSchema, value: unknown): string | undefined {
  if (typeof value !== 'number') return undefined
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf } = schema
  const expected = (what: string, limit: number) =>
    `expected ${luaNumber(value)} to be ${what} ${luaNumber(limit)}`
  if (minimum !== undefined && value < minimum) return expected('at least', minimum)
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) {
    return expected('greater than', exclusiveMinimum)
  }
  if (maximum !== undefined && value > maximum) return expected('at most', maximum)
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) {
    return expected('smaller than', exclusiveMaximum)
  }
  if (multipleOf === undefined || Number.isInteger(value / multipleOf)) return undefined
  return expected('a multiple of', multipleOf)
}

function enumError({ enum: values }: JsonSchema, value: unknown): string | undefined {
  if (values === undefined || values.some((known) => equal(known, value))) return undefined
  return 'matches none of the enum values'
}

function choiceError(schema: JsonSchema, value: unknown): string | undefined {
  for (const [index, part] of (schema.allOf ?? []).entries()) {
    const fault = errorOf(part, value)
    if (fault !== undefined) return `allOf ${index + 1} failed: ${fault}`
  }
  if (schema.anyOf !== undefined && !schema.anyOf.some((branch) => fits(branch, value))) {
    const required = schema.anyOf.flatMap((branch) =>
      typeof branch === 'object' && branch.required !== undefined ? [JSON.stringify(branch.required)] : [],
    )
    const which = required.length === 0 ? '' : `: ${required.join(' or ')}`
    return `object matches none of the required${which}`
  }
  return oneOfError(schema, value) ?? conditionError(schema, value)
}

function oneOfError({ oneOf }: JsonSchema, value: unknown): string | undefined {
  if (oneOf === undefined) return undefined
  const fitting = oneOf.flatMap((branch, index) => (fits(branch, value) ? [index + 1] : []))
  if (fitting.length === 1) return undefined
  const matches = fitting.length === 0 ? 'none' : `both schemas ${fitting[0]} and ${fitting[1]}`
  return `value should match only one schema, but matches ${matches}`
}

function conditionError(schema: JsonSchema, value: unknown): string | undefined {
  if (schema.if !== undefined) {
    const name = fits(schema.if, value) ? 'then' : 'else'
    const clause = schema[name]
    if (clause !== undefined && !fits(clause, value)) return `${name} clause did not match`
  }
  if (schema.not !== undefined && fits(schema.not, value)) return "value wasn't supposed to match schema"
  return undefined
}

function formatError({ format }: JsonSchema, value: unknown): string | undefined {
  if (format === undefined || typeof value !== 'string') return undefined
  if (formats.get(format)?.fits(value) !== false) return undefined
  return `expect valid ${format} format but got: ${value}`
}

function has(map: Value, name: string): boolean {
  return Object.hasOwn(map, name) && map[name] !== undefined
}

/** As Lua's `type` has it; APISIX holds null as a value of a kind of its own. */
function luaType(value: unknown): string {
  if (value === null) return 'userdata'
  return typeof value === 'object' ? 'table' : typeof value
}

/** As Lua writes numbers, `%.14g`. */
function luaNumber(value: number): string {
  const text = value.toPrecision(14)
  const [digits, exponent] = text.split('e')
  const short = digits!.includes('.') ? digits!.replace(/\.?0+$/, '') : digits!
  if (exponent === undefined) {
    // JavaScript changes to exponents below 1e-6, C below 1e-4.
    return value !== 0 && Math.abs(value) < 1e-4 ? luaExponent(value) : short
  }
  return luaExponent(value)
}

function luaExponent(value: number): string {
  const [digits = '', exponent = ''] = value.toExponential(13).split('e')
  const power = exponent.slice(1).padStart(2, '0')
  return `${digits.replace(/\.?0+$/, '')}e${exponent[0]}${power}`
}

/** As Lua's `%q` writes a string. */
function quote(text: string): string {
  const escaped = text.replace(/["\\\n]|[\x00-\x1f\x7f](?=(\d)?)/g, (char, digit?: string) => {
    if (char === '"' || char === '\\' || char === '\n') return `\\${char}`
    const code = String(char.charCodeAt(0))
    return `\\${digit === undefined ? code : code.padStart(3, '0')}`
  })
  return `"${escaped}"`
}
