/**
 * A JSON Schema (2020-12, the part that the table of keywords names) -> a tree that is quick to walk: keywords are
 * sorted by the type of value that they speak of, patterns are compiled, references are followed.
 */
import { type Format, formats } from './formats.ts'

/** A schema that is not `true` or `false`, as it was written. */
export type SchemaObject = Readonly<Record<string, unknown>>

/** Types of values as bits: a value may have two (a whole number is also a number). */
export const types = {
  string: 1,
  number: 2,
  integer: 4,
  boolean: 8,
  object: 16,
  array: 32,
  null: 64,
} as const

export interface Node {
  readonly schema: SchemaObject
  /** Bits of the types that fit; 0: any. */
  types: number
  /** Each absent when the schema has no keyword of its kind. */
  any: AnyRules | undefined
  strings: StringRules | undefined
  numbers: NumberRules | undefined
  lists: ListRules | undefined
  maps: MapRules | undefined
}

/** What holds for values of every type. */
export interface AnyRules {
  /** The schema `false`. */
  never: boolean
  reference: Node | undefined
  /** Of `enum`. */
  values: readonly unknown[] | undefined
  constant: { value: unknown } | undefined
  anyOf: readonly Node[] | undefined
  oneOf: readonly Node[] | undefined
  allOf: readonly Node[] | undefined
  not: Node | undefined
  if: Node | undefined
  then: Node | undefined
  else: Node | undefined
}

export interface StringRules {
  minLength: number
  maxLength: number
  pattern: RegExp | undefined
  format: Format | undefined
}

export interface NumberRules {
  minimum: number
  maximum: number
  exclusiveMinimum: number
  exclusiveMaximum: number
  multipleOf: number | undefined
}

export interface ListRules {
  minItems: number
  maxItems: number
  unique: boolean
  items: Node | undefined
}

export interface MapRules {
  minProperties: number
  maxProperties: number
  required: readonly string[]
  defaults: readonly { name: string; value: unknown }[]
  properties: ReadonlyMap<string, Node>
  patterns: readonly { pattern: RegExp; node: Node }[]
  /** Of what neither of them names; absent: anything fits. */
  additional: Node | undefined
  names: Node | undefined
  dependencies: readonly Dependency[]
}

/** What has to hold once a property is there. */
export interface Dependency {
  property: string
  required: readonly string[]
  node: Node | undefined
}

/** The keywords that are understood, and those that say nothing about values. Any other is a mistake in the schema. */
const keywords = new Set([
  ...['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', 'not', 'if', 'then', 'else', '$ref'],
  ...['minLength', 'maxLength', 'pattern', 'format'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minItems', 'maxItems', 'uniqueItems', 'items'],
  ...[
    'minProperties',
    'maxProperties',
    'required',
    'properties',
    'patternProperties',
    'additionalProperties',
  ],
  ...['propertyNames', 'dependencies', 'dependentRequired', 'dependentSchemas'],
  ...['$schema', '$id', '$comment', '$defs', 'definitions', 'title', 'description', 'default', 'examples'],
  ...['deprecated', 'readOnly', 'writeOnly'],
])

const roots = new WeakMap<object, Node>()

/** Prepared once for each schema. @throws Error when a schema holds something that is not understood */
export function nodeOf(schema: object): Node {
  let node = roots.get(schema)
  if (node === undefined) {
    node = new Preparation(schema).nodeAt(schema, '#')
    roots.set(schema, node)
  }
  return node
}

class Preparation {
  readonly #root: object
  /** Of this root, since a reference means something else below another. Cycles end here. */
  readonly #nodes = new Map<unknown, Node>()

  constructor(root: object) {
    this.#root = root
  }

  nodeAt(schema: unknown, place: string): Node {
    const known = this.#nodes.get(schema)
    if (known !== undefined) return known
    const node: Node = {
      schema: isSchemaObject(schema) ? schema : {},
      types: 0,
      any: undefined,
      strings: undefined,
      numbers: undefined,
      lists: undefined,
      maps: undefined,
    }
    this.#nodes.set(schema, node)
    if (schema === true) return node
    if (schema !== false && !isSchemaObject(schema)) throw new SchemaError(place, 'is no schema')

    const own = node.schema
    for (const keyword in own) {
      if (!keywords.has(keyword) && !keyword.startsWith('x-')) {
        throw new SchemaError(place, `has the keyword ${keyword}, which is not supported`)
      }
    }
    node.types = typeBits(own.type, place)
    node.any = this.#anyRules(schema, own, place)
    node.strings = stringRules(own, place)
    node.numbers = numberRules(own)
    node.lists = this.#listRules(own, place)
    node.maps = this.#mapRules(own, place)
    return node
  }

  #anyRules(schema: unknown, own: SchemaObject, place: string): AnyRules | undefined {
    const rules: AnyRules = {
      never: schema === false,
      reference: own.$ref === undefined ? undefined : this.nodeAt(this.#target(own.$ref, place), place),
      values: own.enum === undefined ? undefined : listOf(own.enum, place),
      constant: 'const' in own ? { value: own.const } : undefined,
      anyOf: this.#branches(own.anyOf, `${place}/anyOf`),
      oneOf: this.#branches(own.oneOf, `${place}/oneOf`),
      allOf: this.#branches(own.allOf, `${place}/allOf`),
      not: this.#optional(own.not, `${place}/not`),
      if: this.#optional(own.if, `${place}/if`),
      // biome-ignore lint/suspicious/noThenProperty: it is the name of the keyword.
      then: this.#optional(own.then, `${place}/then`),
      else: this.#optional(own.else, `${place}/else`),
    }
    return rules.never || Object.values(rules).some((rule) => typeof rule === 'object') ? rules : undefined
  }

  #listRules(own: SchemaObject, place: string): ListRules | undefined {
    const { minItems, maxItems, uniqueItems, items } = own
    if (minItems === undefined && maxItems === undefined && uniqueItems !== true && items === undefined)
      return
    return {
      minItems: lowest(minItems, 0),
      maxItems: highest(maxItems),
      unique: uniqueItems === true,
      items: this.#optional(items, `${place}/items`),
    }
  }

  #mapRules(own: SchemaObject, place: string): MapRules | undefined {
    const { minProperties, maxProperties, required } = own
    const properties = entriesOf(own.properties, `${place}/properties`)
    const patterns = entriesOf(own.patternProperties, `${place}/patternProperties`)
    const dependencies = this.#dependencies(own, place)
    const additional =
      own.additionalProperties === true
        ? undefined
        : this.#optional(own.additionalProperties, `${place}/additionalProperties`)
    const names = this.#optional(own.propertyNames, `${place}/propertyNames`)
    const isSilent =
      properties.length === 0 &&
      patterns.length === 0 &&
      dependencies.length === 0 &&
      additional === undefined &&
      names === undefined &&
      required === undefined &&
      minProperties === undefined &&
      maxProperties === undefined
    if (isSilent) return undefined
    return {
      minProperties: lowest(minProperties, 0),
      maxProperties: highest(maxProperties),
      required: required === undefined ? [] : (listOf(required, place) as string[]),
      defaults: properties.flatMap(([name, schema]) =>
        isSchemaObject(schema) && schema.default !== undefined ? [{ name, value: schema.default }] : [],
      ),
      properties: new Map(
        properties.map(([name, schema]) => [name, this.nodeAt(schema, `${place}/properties/${name}`)]),
      ),
      patterns: patterns.map(([source, schema]) => ({
        pattern: patternOf(source, place),
        node: this.nodeAt(schema, `${place}/patternProperties/${source}`),
      })),
      additional,
      names,
      dependencies,
    }
  }

  #dependencies(own: SchemaObject, place: string): Dependency[] {
    return ['dependencies', 'dependentRequired', 'dependentSchemas'].flatMap((keyword) =>
      entriesOf(own[keyword], `${place}/${keyword}`).map(([property, needed]) => ({
        property,
        required: Array.isArray(needed) ? (needed as string[]) : [],
        node: Array.isArray(needed) ? undefined : this.nodeAt(needed, `${place}/${keyword}/${property}`),
      })),
    )
  }

  #branches(schemas: unknown, place: string): Node[] | undefined {
    if (schemas === undefined) return undefined
    return listOf(schemas, place).map((schema, index) => this.nodeAt(schema, `${place}/${index}`))
  }

  #optional(schema: unknown, place: string): Node | undefined {
    return schema === undefined ? undefined : this.nodeAt(schema, place)
  }

  /** A reference into the schema that holds it: `#`, or `#` and a JSON pointer (RFC 6901). */
  #target(reference: unknown, place: string): unknown {
    const pointer = typeof reference === 'string' ? /^#((?:\/[^/]*)*)$/.exec(reference)?.[1] : undefined
    if (pointer === undefined) throw new SchemaError(place, 'has a reference that leads out of the schema')
    let target: unknown = this.#root
    for (const escaped of pointer.split('/').slice(1)) {
      const name = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
      target =
        typeof target === 'object' && target !== null && Object.hasOwn(target, name)
          ? (target as Record<string, unknown>)[name]
          : undefined
    }
    if (target === undefined)
      throw new SchemaError(place, `has the reference ${reference}, which leads nowhere`)
    return target
  }
}

class SchemaError extends Error {
  constructor(place: string, problem: string) {
    super(`the schema at ${place} ${problem}`)
  }
}

function stringRules(own: SchemaObject, place: string): StringRules | undefined {
  const { minLength, maxLength, pattern, format } = own
  if (minLength === undefined && maxLength === undefined && pattern === undefined && format === undefined)
    return
  const known = formats.get(String(format))
  if (format !== undefined && known === undefined) {
    throw new SchemaError(place, `has the format ${format}, which is not supported`)
  }
  return {
    minLength: lowest(minLength, 0),
    maxLength: highest(maxLength),
    pattern: pattern === undefined ? undefined : patternOf(pattern, place),
    format: known,
  }
}

function numberRules(own: SchemaObject): NumberRules | undefined {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = own
  const limits = [minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf]
  if (limits.every((limit) => limit === undefined)) return undefined
  return {
    minimum: lowest(minimum, Number.NEGATIVE_INFINITY),
    maximum: highest(maximum),
    exclusiveMinimum: lowest(exclusiveMinimum, Number.NEGATIVE_INFINITY),
    exclusiveMaximum: highest(exclusiveMaximum),
    multipleOf: multipleOf as number | undefined,
  }
}

const lowest = (limit: unknown, none: number): number => (limit === undefined ? none : (limit as number))
const highest = (limit: unknown): number =>
  limit === undefined ? Number.POSITIVE_INFINITY : (limit as number)

function typeBits(written: unknown, place: string): number {
  if (written === undefined) return 0
  let bits = 0
  for (const name of Array.isArray(written) ? written : [written]) {
    if (!Object.hasOwn(types, name))
      throw new SchemaError(place, `has the type ${name}, which does not exist`)
    bits |= types[name as keyof typeof types]
  }
  return bits
}

function patternOf(source: unknown, place: string): RegExp {
  try {
    return new RegExp(source as string, 'u')
  } catch (error) {
    throw new SchemaError(place, `has a pattern that is not valid: ${(error as Error).message}`)
  }
}

function listOf(written: unknown, place: string): unknown[] {
  if (!Array.isArray(written)) throw new SchemaError(place, 'has a keyword that must be a list, and is none')
  return written
}

function entriesOf(written: unknown, place: string): [string, unknown][] {
  if (written === undefined) return []
  if (!isSchemaObject(written)) throw new SchemaError(place, 'must be a map')
  return Object.entries(written)
}

function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
