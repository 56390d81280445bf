import { parseTolerantJson } from '../kit/index.ts'
import { compileJsonSchema, type JsonSchema } from '../kit/json-schema.ts'

/** What an OpenAPI document says of requests. */
export interface Specification {
  /** Undefined: it has no such operation. @param path percent-encoded, as it came */
  find(method: string, path: string): FoundOperation | undefined
}

export interface FoundOperation {
  readonly operation: Operation
  /** What the parameters of its path stand for, decoded. */
  readonly pathValues: ReadonlyMap<string, string>
}

export interface Operation {
  readonly parameters: readonly Parameter[]
  readonly body: RequestBody | undefined
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly isRequired: boolean
  readonly schema: JsonSchema
  readonly type: string | undefined
  /** Of the members of a list. */
  readonly memberType: string | undefined
  /** What stands between members of a list in one value; null: each has a value of its own. */
  readonly separator: string | null
}

export interface RequestBody {
  readonly isRequired: boolean
  /** By media type, which may end in `*`; null: any content. */
  readonly content: ReadonlyMap<string, { schema: JsonSchema; types: ReadonlyMap<string, string> } | null>
}

type Json = Readonly<Record<string, unknown>>

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']

/** Fields that an OpenAPI server may not read as parameters (OpenAPI 3.1, 4.8.12.1). */
const notParameters = ['accept', 'content-type', 'authorization']

/** Versions 3.0 and 3.1. @throws Error when the document is none or cannot be followed */
export function compileSpecification(text: string): Specification {
  const read = parseTolerantJson(text)
  if ('error' in read) throw new Error(read.error)
  const document = read.value
  if (!isMap(document) || !isMap(document.paths)) throw new Error('it has no paths')
  if (!/^3\.[01]\./.test(String(document.openapi))) throw new Error('it is not of OpenAPI 3.0 or 3.1')
  const compiler = new Compiler(document)
  const bases = compiler.bases()
  const paths: { pattern: RegExp; names: string[]; fixed: number; operations: Map<string, Operation> }[] = []
  for (const [template, item] of Object.entries(document.paths)) {
    const names: string[] = []
    const pattern = template
      .split(/(\{[^}]+\})/)
      .map((piece) => {
        if (!piece.startsWith('{')) return escaped(piece)
        names.push(piece.slice(1, -1))
        return '([^/]+)'
      })
      .join('')
    const fixed = template.replace(/\{[^}]+\}/g, '').length
    for (const base of bases) {
      const whole = new RegExp(`^${escaped(base)}${pattern}$`)
      paths.push({
        pattern: whole,
        names,
        fixed: fixed - names.length * 1000,
        operations: compiler.operations(item),
      })
    }
  }
  // What is written out goes before what is a parameter.
  paths.sort((a, b) => b.fixed - a.fixed)

  return {
    find(method, path) {
      for (const { pattern, names, operations } of paths) {
        const match = pattern.exec(path)
        const operation = match === null ? undefined : operations.get(method.toLowerCase())
        if (operation === undefined) continue
        const pathValues = new Map(names.map((name, n) => [name, decoded(match![n + 1]!)]))
        return { operation, pathValues }
      }
      return undefined
    },
  }
}

/** Why a document is not usable, in one sentence; undefined: it is. */
export function specificationFinding(text: string): string | undefined {
  try {
    compileSpecification(text)
    return undefined
  } catch (error) {
    return `the OpenAPI document in spec cannot be used: ${(error as Error).message}`
  }
}

class Compiler {
  readonly #document: Json
  readonly #schemas: unknown
  readonly #dialect: string

  constructor(document: Json) {
    this.#document = document
    this.#dialect = String(document.openapi).startsWith('3.0') ? 'draft-04' : '2020-12'
    const { schemas = {} } = mapOf(document.components)
    this.#schemas = withoutNotes({ properties: schemas }).properties
  }

  bases(): string[] {
    const { servers } = this.#document
    const bases = (Array.isArray(servers) ? servers : []).map((server) => {
      const url = String(mapOf(server).url ?? '/')
      const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '')
      return path.replace(/\/+$/, '')
    })
    return bases.length === 0 ? [''] : [...new Set(bases)]
  }

  operations(pathItem: unknown): Map<string, Operation> {
    const item = this.#resolve(pathItem)
    const operations = new Map<string, Operation>()
    for (const method of methods) {
      if (!isMap(item[method])) continue
      const { parameters, requestBody } = item[method]
      const own = this.#parameters(parameters)
      const shared = this.#parameters(item.parameters).filter(
        (one) => !own.some(({ name, in: place }) => name === one.name && place === one.in),
      )
      operations.set(method, { parameters: [...shared, ...own], body: this.#body(requestBody) })
    }
    return operations
  }

  #parameters(list: unknown): Parameter[] {
    const parameters: Parameter[] = []
    for (const one of Array.isArray(list) ? list : []) {
      const { name, in: place, required, schema, style, explode } = this.#resolve(one)
      if (typeof name !== 'string' || schema === undefined) continue
      if (place !== 'path' && place !== 'query' && place !== 'header') continue
      if (place === 'header' && notParameters.includes(name.toLowerCase())) continue
      const shape = this.#resolve(schema)
      const isSpread = place === 'query' && (explode ?? (style === undefined || style === 'form')) === true
      parameters.push({
        name,
        in: place,
        isRequired: place === 'path' || required === true,
        schema: this.#schema(schema),
        type: typeOf(shape),
        memberType: typeOf(this.#resolve(shape.items)),
        separator: isSpread ? null : style === 'spaceDelimited' ? ' ' : style === 'pipeDelimited' ? '|' : ',',
      })
    }
    return parameters
  }

  #body(requestBody: unknown): RequestBody | undefined {
    if (requestBody === undefined) return undefined
    const { content, required } = this.#resolve(requestBody)
    const compiled = new Map<string, { schema: JsonSchema; types: Map<string, string> } | null>()
    for (const [type, media] of Object.entries(mapOf(content))) {
      const { schema } = mapOf(media)
      const types = new Map<string, string>()
      for (const [name, property] of Object.entries(mapOf(this.#resolve(schema).properties))) {
        const known = typeOf(this.#resolve(property))
        if (known !== undefined) types.set(name, known)
      }
      compiled.set(
        type.toLowerCase().split(';')[0]!.trim(),
        schema === undefined ? null : { schema: this.#schema(schema), types },
      )
    }
    return { isRequired: required === true, content: compiled }
  }

  #schema(schema: unknown): JsonSchema {
    const whole = {
      $schema: this.#dialect,
      allOf: [withoutNotes(schema)],
      components: { schemas: this.#schemas },
    }
    const compiled = compileJsonSchema(whole)
    if ('problem' in compiled) throw new Error(compiled.problem)
    return compiled
  }

  /** Follows references within the document, up to a depth that no sensible one has. */
  #resolve(value: unknown): Json {
    let found = value
    for (let depth = 0; isMap(found) && typeof found.$ref === 'string'; depth++) {
      const { $ref } = found
      if (depth > 20 || !$ref.startsWith('#/')) throw new Error('it has a reference that leads out of it')
      found = this.#document
      for (const step of $ref.slice('#/'.length).split('/')) {
        const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
        found = isMap(found) && Object.hasOwn(found, key) ? found[key] : undefined
      }
      if (found === undefined) throw new Error('it has a reference that leads nowhere')
    }
    return mapOf(found)
  }
}

/** What schemas of OpenAPI have beside those of JSON; examples could be taken for schemas. */
const notes = ['example', 'examples', 'discriminator', 'xml', 'externalDocs']
const mapsOfSchemas = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']

function withoutNotes(schema: unknown): Json & { properties?: unknown } {
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(clean)
    if (!isMap(value)) return value
    const kept = Object.entries(value).filter(([key]) => !notes.includes(key))
    return Object.fromEntries(
      kept.map(([key, member]) => {
        if (key === 'enum' || key === 'const' || key === 'default') return [key, member]
        if (!mapsOfSchemas.includes(key)) return [key, clean(member)]
        return [
          key,
          Object.fromEntries(Object.entries(mapOf(member)).map(([name, one]) => [name, clean(one)])),
        ]
      }),
    )
  }
  return clean(schema) as Json
}

function typeOf({ type }: Json): string | undefined {
  const known = Array.isArray(type) ? type.find((one) => one !== 'null') : type
  return typeof known === 'string' ? known : undefined
}

function mapOf(value: unknown): Json {
  return isMap(value) ? value : {}
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
