/** Reads what `protoc --descriptor_set_out` writes: a `google.protobuf.FileDescriptorSet`. */
import type {
  EnumDefinition,
  FieldDefinition,
  HttpRule,
  MessageDefinition,
  MethodDefinition,
  ProtoDefinitions,
  ScalarType,
  ServiceDefinition,
} from './definitions.ts'
import { WireError, WireReader, wireType } from './wire-reader.ts'

/** Messages in messages. */
const deepest = 32
/** The extension of MethodOptions that `google.api.http` is. */
const httpOption = 72_295_728

/** Fields of a message by their numbers: the last of those with a length, and all of them; the last number. */
interface Fields {
  text(id: number): string
  bytes(id: number): Buffer | undefined
  all(id: number): readonly Buffer[]
  number(id: number): number | undefined
}

function fieldsOf(message: Buffer | undefined): Fields {
  const byId = new Map<number, Buffer[]>()
  const numbers = new Map<number, number>()
  const reader = new WireReader(message ?? Buffer.alloc(0))
  while (reader.next()) {
    if (reader.type === wireType.bytes) {
      const list = byId.get(reader.id) ?? []
      list.push(reader.bytes())
      byId.set(reader.id, list)
    } else if (reader.type === wireType.varint)
      numbers.set(reader.id, Number(BigInt.asIntN(64, reader.varint())))
    else reader.skip()
  }
  return {
    text: (id) => byId.get(id)?.at(-1)?.toString() ?? '',
    bytes: (id) => byId.get(id)?.at(-1),
    all: (id) => byId.get(id) ?? [],
    number: (id) => numbers.get(id),
  }
}

/** @throws WireError when it is none */
export function readDescriptorSet(bytes: Buffer): ProtoDefinitions {
  const files = fieldsOf(bytes).all(1)
  if (files.length === 0) throw new WireError('there is no file in it')
  const found = new Found()
  for (const file of files) found.addFile(fieldsOf(file))
  return found.finish()
}

/** The entry of a map, which is a message of its own here. */
interface Entry {
  readonly key: FieldDefinition
  readonly value: FieldDefinition
}

class Found {
  readonly #messages: MessageDefinition[] = []
  readonly #enums: EnumDefinition[] = []
  readonly #services: ServiceDefinition[] = []
  readonly #entries = new Map<string, Entry>()

  addFile(file: Fields): void {
    const scope = file.text(2)
    // Editions are like proto3 in what is asked here, but for presence, which each field has unless it says otherwise.
    const syntax = file.text(12)
    for (const message of file.all(4)) this.#addMessage(scope, fieldsOf(message), syntax, 0)
    for (const one of file.all(5)) this.#addEnum(scope, fieldsOf(one))
    for (const service of file.all(6)) this.#addService(scope, fieldsOf(service))
  }

  finish(): ProtoDefinitions {
    const messages = this.#messages.map((message) => ({
      ...message,
      fields: message.fields.map((field) => this.#withMap(field)),
    }))
    return { messages, enums: this.#enums, services: this.#services }
  }

  #withMap(field: FieldDefinition): FieldDefinition {
    const entry = field.of === undefined ? undefined : this.#entries.get(field.of)
    if (entry === undefined || field.isRepeated === undefined) return field
    const { type, of } = entry.value
    return {
      name: field.name,
      id: field.id,
      type,
      ...(of !== undefined && { of }),
      key: entry.key.type as ScalarType,
    }
  }

  #addMessage(scope: string, message: Fields, syntax: string, depth: number): void {
    if (depth === deepest) throw new WireError('messages are nested too deeply')
    const name = within(scope, message.text(1))
    const fields = message.all(2).map((field) => fieldDefinition(fieldsOf(field), syntax))
    const isEntry = fieldsOf(message.bytes(7)).number(7) === 1
    const key = fields.find(({ id }) => id === 1)
    const value = fields.find(({ id }) => id === 2)
    if (isEntry && key !== undefined && value !== undefined) this.#entries.set(name, { key, value })
    else this.#messages.push({ name, isProto3: syntax !== '' && syntax !== 'proto2', fields })
    for (const inner of message.all(3)) this.#addMessage(name, fieldsOf(inner), syntax, depth + 1)
    for (const inner of message.all(4)) this.#addEnum(name, fieldsOf(inner))
  }

  #addEnum(scope: string, one: Fields): void {
    const values = one.all(2).map((value) => {
      const fields = fieldsOf(value)
      return [fields.text(1), fields.number(2) ?? 0] as const
    })
    this.#enums.push({ name: within(scope, one.text(1)), values })
  }

  #addService(scope: string, service: Fields): void {
    const methods = service.all(2).map((method) => methodDefinition(fieldsOf(method)))
    this.#services.push({ name: within(scope, service.text(1)), methods })
  }
}

const within = (scope: string, name: string) => (scope === '' ? name : `${scope}.${name}`)

const withoutDot = (name: string) => (name.startsWith('.') ? name.slice(1) : name)

/** FieldDescriptorProto.Type */
const types = new Map<number, FieldDefinition['type']>([
  [1, 'double'],
  [2, 'float'],
  [3, 'int64'],
  [4, 'uint64'],
  [5, 'int32'],
  [6, 'fixed64'],
  [7, 'fixed32'],
  [8, 'bool'],
  [9, 'string'],
  [11, 'message'],
  [12, 'bytes'],
  [13, 'uint32'],
  [14, 'enum'],
  [15, 'sfixed32'],
  [16, 'sfixed64'],
  [17, 'sint32'],
  [18, 'sint64'],
])

function fieldDefinition(field: Fields, syntax: string): FieldDefinition {
  const type = types.get(field.number(5) ?? 0)
  const id = field.number(3) ?? 0
  const name = field.text(1)
  if (type === undefined || name === '' || id < 1) throw new WireError('a field is not complete, or a group')
  const isRepeated = field.number(4) === 3
  const isScalar = type !== 'message' && type !== 'string' && type !== 'bytes'
  const packed = fieldsOf(field.bytes(8)).number(2)
  const isPacked =
    isRepeated && isScalar && (packed === undefined ? syntax !== '' && syntax !== 'proto2' : packed === 1)
  const isAlone = field.number(9) === undefined && field.number(17) !== 1
  const hasPresence = !isRepeated && (type === 'message' || syntax !== 'proto3' || !isAlone)
  const fallback = field.bytes(7)?.toString()
  return {
    name,
    id,
    type,
    ...((type === 'message' || type === 'enum') && { of: withoutDot(field.text(6)) }),
    ...(isRepeated && { isRepeated }),
    ...(isPacked && { isPacked }),
    ...(hasPresence && { hasPresence }),
    ...(fallback !== undefined && { fallback: fallbackOf(type, fallback) }),
  }
}

/** As `protoc` writes default values. */
function fallbackOf(type: FieldDefinition['type'], text: string): string | number | boolean {
  if (type === 'bool') return text === 'true'
  if (type === 'string' || type === 'bytes' || type === 'enum') return text
  const value = Number(text)
  return Number.isSafeInteger(value) || type === 'double' || type === 'float' ? value : text
}

function methodDefinition(method: Fields): MethodDefinition {
  const http = fieldsOf(method.bytes(4))
    .all(httpOption)
    .flatMap((rule) => httpRules(fieldsOf(rule), 0))
  return {
    name: method.text(1),
    input: withoutDot(method.text(2)),
    output: withoutDot(method.text(3)),
    ...(method.number(5) === 1 && { streamsInput: true }),
    ...(method.number(6) === 1 && { streamsOutput: true }),
    ...(http.length > 0 && { http }),
  }
}

const httpMethods = [
  [2, 'GET'],
  [3, 'PUT'],
  [4, 'POST'],
  [5, 'DELETE'],
  [6, 'PATCH'],
] as const

function httpRules(rule: Fields, depth: number): HttpRule[] {
  const known = httpMethods.find(([id]) => rule.bytes(id) !== undefined)
  const custom = fieldsOf(rule.bytes(8))
  const [method, path] =
    known === undefined ? [custom.text(1), custom.text(2)] : [known[1], rule.text(known[0])]
  const [body, responseBody] = [rule.text(7), rule.text(12)]
  const own: HttpRule = {
    method: method.toUpperCase(),
    path,
    ...(body !== '' && { body }),
    ...(responseBody !== '' && { response_body: responseBody }),
  }
  // Additional ones have none of their own.
  const others = depth === 0 ? rule.all(11).flatMap((other) => httpRules(fieldsOf(other), 1)) : []
  return path === '' ? others : [own, ...others]
}
