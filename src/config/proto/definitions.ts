/**
 * Definitions of gRPC messages and services as a plan holds them. Names of types are whole, without a dot in front; lists
 * and not maps, because a name may be any.
 */

export interface ProtoDefinitions {
  readonly messages: readonly MessageDefinition[]
  readonly enums: readonly EnumDefinition[]
  readonly services: readonly ServiceDefinition[]
}

export interface MessageDefinition {
  readonly name: string
  readonly isProto3: boolean
  readonly fields: readonly FieldDefinition[]
}

export const scalarTypes = [
  'double',
  'float',
  'int64',
  'uint64',
  'int32',
  'fixed64',
  'fixed32',
  'bool',
  'string',
  'bytes',
  'uint32',
  'sfixed32',
  'sfixed64',
  'sint32',
  'sint64',
] as const
export type ScalarType = (typeof scalarTypes)[number]

export const isScalar = (type: string): type is ScalarType =>
  (scalarTypes as readonly string[]).includes(type)

export interface FieldDefinition {
  readonly name: string
  readonly id: number
  readonly type: ScalarType | 'enum' | 'message'
  /** Of an enum or a message. */
  readonly of?: string
  readonly isRepeated?: true
  /** Values stand one after the other in a single field. */
  readonly isPacked?: true
  /** Of the keys of a map; `type` is that of its values. */
  readonly key?: ScalarType
  /** It can be told whether it was set: it is optional, one of several, or a message. */
  readonly hasPresence?: true
  /** Default: that of its type. */
  readonly fallback?: string | number | boolean
}

export interface EnumDefinition {
  readonly name: string
  readonly values: readonly (readonly [name: string, value: number])[]
}

export interface ServiceDefinition {
  readonly name: string
  readonly methods: readonly MethodDefinition[]
}

export interface MethodDefinition {
  readonly name: string
  readonly input: string
  readonly output: string
  readonly streamsInput?: true
  readonly streamsOutput?: true
  /** What `google.api.http` says of it, the additional ones too. */
  readonly http?: readonly HttpRule[]
}

export interface HttpRule {
  /** Upper case; `*` for any. */
  readonly method: string
  readonly path: string
  /** `*`: the body is the whole message; else the field that it is. */
  readonly body?: string
  readonly response_body?: string
}
