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
  readonly defaults: { name: string; value: unknown }[]
  readonly properties: Map<string, Node>
  patterns: readonly { pattern: RegExp; node: Node }[]
  /** Of what neither of them names; absent: anything fits. */
  additional: Node | undefined
  names: Node | undefined
  readonly dependencies: Dependency[]
}

/** What has to hold once a property is there. */
export interface Dependency {
  property: string
  required: readonly string[]
  node: Node | undefined
}

/** Keywords that say nothing about values, like those that begin with `x-`. */
const annotations = new Set([
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

    if (schema === false) anyRules(node).never = true
    for (const keyword in node.schema) this.#apply(keyword, node.schema[keyword], node, place)
    return node
  }

  #apply(keyword: string, setting: unknown, node: Node, place: string): void {
    switch (keyword) {
      case 'type':
        node.types = typeBits(setting, place)
        break
      case '$ref':
        anyRules(node).reference = this.nodeAt(this.#target(setting, place), place)
        break
      case 'enum':
        anyRules(node).values = listOf(setting, place)
        break
      case 'const':
        anyRules(node).constant = { value: setting }
        break
      case 'anyOf':
      case 'oneOf':
      case 'allOf':
        anyRules(node)[keyword] = this.#branches(setting, `${place}/${keyword}`)
        break
      case 'not':
      case 'if':
      case 'then':
      case 'else':
        anyRules(node)[keyword] = this.nodeAt(setting, `${place}/${keyword}`)
        break
      case 'minLength':
      case 'maxLength':
        stringRules(node)[keyword] = numberOf(setting, place)
        break
      case 'pattern':
        stringRules(node).pattern = patternOf(setting, place)
        break
      case 'format':
        stringRules(node).format = formatOf(setting, place)
        break
      case 'minimum':
      case 'maximum':
      case 'exclusiveMinimum':
      case 'exclusiveMaximum':
      case 'multipleOf':
        numberRules(node)[keyword] = numberOf(setting, place)
        break
      case 'minItems':
      case 'maxItems':
        listRules(node)[keyword] = numberOf(setting, place)
        break
      case 'uniqueItems':
        listRules(node).unique = setting === true
        break
      case 'items':
        listRules(node).items = this.nodeAt(setting, `${place}/items`)
        break
      default:
        this.#applyToMaps(keyword, setting, node, place)
    }
  }

  #applyToMaps(keyword: string, setting: unknown, node: Node, place: string): void {
    const below = `${place}/${keyword}`
    switch (keyword) {
      case 'minProperties':
      case 'maxProperties':
        mapRules(node)[keyword] = numberOf(setting, place)
        break
      case 'required':
        mapRules(node).required = listOf(setting, place) as string[]
        break
      case 'properties':
        this.#properties(setting, mapRules(node), below)
        break
      case 'patternProperties':
        mapRules(node).patterns = entriesOf(setting, below).map(([source, schema]) => ({
          pattern: patternOf(source, place),
          node: this.nodeAt(schema, `${below}/${source}`),
        }))
        break
      case 'additionalProperties':
        if (setting !== true) mapRules(node).additional = this.nodeAt(setting, below)
        break
      case 'propertyNames':
        mapRules(node).names = this.nodeAt(setting, below)
        break
      case 'dependencies':
      case 'dependentRequired':
      case 'dependentSchemas':
        for (const [property, needed] of entriesOf(setting, below)) {
          const isList = Array.isArray(needed)
          mapRules(node).dependencies.push({
            property,
            required: isList ? needed : [],
            node: isList ? undefined : this.nodeAt(needed, `${below}/${property}`),
          })
        }
        break
      default:
        if (!annotations.has(keyword) && !keyword.startsWith('x-')) {
          throw new SchemaError(place, `has the keyword ${keyword}, which is not supported`)
        }
    }
  }

  #properties(setting: unknown, rules: MapRules, place: string): void {
    for (const [name, schema] of entriesOf(setting, place)) {
      const node = this.nodeAt(schema, `${place}/${name}`)
      rules.properties.set(name, node)
      if (node.schema.default !== undefined) rules.defaults.push({ name, value: node.schema.default })
    }
  }

  #branches(schemas: unknown, place: string): Node[] {
    return listOf(schemas, place).map((schema, index) => this.nodeAt(schema, `${place}/${index}`))
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

function anyRules(node: Node): AnyRules {
  node.any ??= {
    never: false,
    reference: undefined,
    values: undefined,
    constant: undefined,
    anyOf: undefined,
    oneOf: undefined,
    allOf: undefined,
    not: undefined,
    if: undefined,
    // biome-ignore lint/suspicious/noThenProperty: it is the name of the keyword.
    then: undefined,
    else: undefined,
  }
  return node.any
}

function stringRules(node: Node): StringRules {
  node.strings ??= {
    minLength: 0,
    maxLength: Number.POSITIVE_INFINITY,
    pattern: undefined,
    format: undefined,
  }
  return node.strings
}

function numberRules(node: Node): NumberRules {
  node.numbers ??= {
    minimum: Number.NEGATIVE_INFINITY,
    maximum: Number.POSITIVE_INFINITY,
    exclusiveMinimum: Number.NEGATIVE_INFINITY,
    exclusiveMaximum: Number.POSITIVE_INFINITY,
    multipleOf: undefined,
  }
  return node.numbers
}

function listRules(node: Node): ListRules {
  node.lists ??= { minItems: 0, maxItems: Number.POSITIVE_INFINITY, unique: false, items: undefined }
  return node.lists
}

function mapRules(node: Node): MapRules {
  node.maps ??= {
    minProperties: 0,
    maxProperties: Number.POSITIVE_INFINITY,
    required: [],
    defaults: [],
    properties: new Map(),
    patterns: [],
    additional: undefined,
    names: undefined,
    dependencies: [],
  }
  return node.maps
}

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

function numberOf(written: unknown, place: string): number {
  if (typeof written !== 'number')
    throw new SchemaError(place, 'has a keyword that must be a number, and is none')
  return written
}

function formatOf(written: unknown, place: string): Format {
  const format = formats.get(String(written))
  if (format === undefined) throw new SchemaError(place, `has the format ${written}, which is not supported`)
  return format
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
