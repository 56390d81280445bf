/** Reads the text of a `.proto` file. */
import { createRequire } from 'node:module'
import { createContext, runInContext } from 'node:vm'
import type { Enum, Field, MapField, Method, Namespace, ReflectionObject, Service, Type } from 'protobufjs'
import {
  type EnumDefinition,
  type FieldDefinition,
  type HttpRule,
  isScalar,
  type MessageDefinition,
  type MethodDefinition,
  type ProtoDefinitions,
  type ScalarType,
  type ServiceDefinition,
} from './definitions.ts'

// The library is loaded with the first definition that there is.
const require = createRequire(import.meta.url)

/** Milliseconds: the library takes quadratic time for some texts, and a regular expression of it still longer. */
const longestTime = 2000

/** Files whose definitions are known, or of which only annotations are made. */
const known =
  /^google\/(?:protobuf\/(?:any|duration|empty|field_mask|struct|timestamp|wrappers)|api\/[a-z_]+)\.proto$/

export class ProtoTextError extends Error {
  override readonly name = 'ProtoTextError'
}

/** @throws ProtoTextError */
export function readProtoText(text: string): ProtoDefinitions {
  const work = () => definitionsIn(text)
  try {
    // Whatever runs for longer is ended, in a regular expression too.
    return runInContext('work()', createContext({ work }), { timeout: longestTime }) as ProtoDefinitions
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    if (code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw new ProtoTextError(message.replace(/^.*\n.*\n/, ''))
    throw new ProtoTextError(`reading it takes longer than ${longestTime / 1000} seconds`)
  }
}

function definitionsIn(text: string): ProtoDefinitions {
  const library = require('protobufjs') as typeof import('protobufjs')
  const { root, imports = [], weakImports = [] } = library.parse(text, { keepCase: true })
  for (const name of [...imports, ...weakImports]) {
    if (!known.test(name)) {
      throw new ProtoTextError(
        `it imports ${name}: one text holds everything, or a descriptor set made with --include_imports`,
      )
    }
    const common = library.common.get(name) as { nested?: Parameters<typeof root.addJSON>[0] } | null
    if (common?.nested !== undefined && root.lookup(typeOf(name)) === null) root.addJSON(common.nested)
  }
  root.resolveAll()
  const definitions: Collected = { messages: [], enums: [], services: [] }
  collect(root, definitions, library)
  return definitions
}

/** One of the types of a common file, to see whether it is there already. */
function typeOf(name: string): string {
  const base = name.slice(name.lastIndexOf('/') + 1, -'.proto'.length)
  const type =
    base === 'wrappers' ? 'StringValue' : base.replace(/(?:^|_)([a-z])/g, (_, first) => first.toUpperCase())
  return `google.protobuf.${type}`
}

interface Collected {
  messages: MessageDefinition[]
  enums: EnumDefinition[]
  services: ServiceDefinition[]
}

type Library = typeof import('protobufjs')

function collect(namespace: Namespace, found: Collected, library: Library): void {
  for (const object of namespace.nestedArray) {
    if (object instanceof library.Enum) found.enums.push(enumDefinition(object))
    else if (object instanceof library.Service) found.services.push(serviceDefinition(object))
    else {
      if (object instanceof library.Type) found.messages.push(messageDefinition(object, library))
      if (object instanceof library.Namespace) collect(object, found, library)
    }
  }
}

const nameOf = ({ fullName }: ReflectionObject) => fullName.slice(1)

const enumDefinition = (one: Enum): EnumDefinition => ({
  name: nameOf(one),
  values: Object.entries(one.values),
})

function messageDefinition(type: Type, library: Library): MessageDefinition {
  const isProto3 = editionOf(type) !== 'proto2'
  const fields = type.fieldsArray.map((field) => fieldDefinition(field, library, isProto3))
  return { name: nameOf(type), isProto3, fields }
}

/** Of the file, which the library notes at what stands in it at the top. */
function editionOf(object: ReflectionObject & { _edition?: string | null }): string {
  for (let at: typeof object | null = object; at !== null; at = at.parent) {
    if (typeof at._edition === 'string') return at._edition
  }
  return 'proto2'
}

function fieldDefinition(field: Field, library: Library, isProto3: boolean): FieldDefinition {
  const { name, id, resolvedType, repeated } = field
  const base = { name, id, ...typeOfField(field.type, resolvedType, library) }
  if (field.map) return { ...base, key: (field as unknown as MapField).keyType as ScalarType }
  if (repeated)
    return { ...base, isRepeated: true, ...(field.packed && isPackable(base.type) && { isPacked: true }) }
  const fallback = (field.options as Record<string, unknown> | undefined)?.default
  const hasPresence =
    base.type === 'message' ||
    !isProto3 ||
    field.partOf !== null ||
    (field.options as Record<string, unknown> | undefined)?.proto3_optional === true
  return {
    ...base,
    ...(hasPresence && { hasPresence }),
    ...(isPrimitive(fallback) && { fallback }),
  }
}

const isPackable = (type: FieldDefinition['type']) =>
  type !== 'message' && type !== 'string' && type !== 'bytes'

const isPrimitive = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

function typeOfField(
  type: string,
  resolved: ReflectionObject | null,
  library: Library,
): Pick<FieldDefinition, 'type' | 'of'> {
  if (resolved !== null)
    return { type: resolved instanceof library.Enum ? 'enum' : 'message', of: nameOf(resolved) }
  if (!isScalar(type)) throw new ProtoTextError(`there is no type ${type}`)
  return { type }
}

const serviceDefinition = (service: Service): ServiceDefinition => ({
  name: nameOf(service),
  methods: service.methodsArray.map(methodDefinition),
})

function methodDefinition(method: Method): MethodDefinition {
  const { name, requestStream, responseStream, resolvedRequestType, resolvedResponseType } = method
  const options = (method.parsedOptions ?? []) as unknown as Record<string, unknown>[]
  const http = options.flatMap((option) => httpRules(option['(google.api.http)'], 0))
  return {
    name,
    input: nameOf(resolvedRequestType!),
    output: nameOf(resolvedResponseType!),
    ...(requestStream === true && { streamsInput: true }),
    ...(responseStream === true && { streamsOutput: true }),
    ...(http.length > 0 && { http }),
  }
}

const httpMethods = ['get', 'put', 'post', 'delete', 'patch'] as const

/** Of the option as the library reads it: a map, with one map or several under `additional_bindings`. */
function httpRules(option: unknown, depth: number): HttpRule[] {
  if (typeof option !== 'object' || option === null) return []
  const rule = option as Record<string, unknown>
  const verb = httpMethods.find((name) => typeof rule[name] === 'string')
  const custom = (rule.custom ?? {}) as Record<string, unknown>
  const method = verb === undefined ? custom.kind : verb
  const path = verb === undefined ? custom.path : rule[verb]
  const { body, response_body: responseBody } = rule
  const others =
    depth === 0 ? [rule.additional_bindings ?? []].flat().flatMap((other) => httpRules(other, 1)) : []
  if (typeof method !== 'string' || typeof path !== 'string') return others
  return [
    {
      method: method.toUpperCase(),
      path,
      ...(typeof body === 'string' && body !== '' && { body }),
      ...(typeof responseBody === 'string' && responseBody !== '' && { response_body: responseBody }),
    },
    ...others,
  ]
}
