/** Definitions with the types of fields found, made when they are first needed. */
import type { ProtoDefinitions, ProtoFieldDefinition, ProtoMethodDefinition } from '../kit/index.ts'

export interface MessageType {
  readonly name: string
  readonly isProto3: boolean
  readonly fields: readonly MessageField[]
  readonly byId: ReadonlyMap<number, MessageField>
}

export interface MessageField extends ProtoFieldDefinition {
  /** As it is written in JSON by others than APISIX: `userName`. */
  readonly camel: string
  readonly tag: number
  readonly message?: MessageType
  readonly enumeration?: EnumType
}

export interface EnumType {
  readonly byName: ReadonlyMap<string, number>
  readonly byValue: ReadonlyMap<number, string>
}

const wireTypes: Readonly<Record<string, number>> = {
  double: 1,
  fixed64: 1,
  sfixed64: 1,
  string: 2,
  bytes: 2,
  message: 2,
  float: 5,
  fixed32: 5,
  sfixed32: 5,
}

export const wireTypeOf = (type: string): number => wireTypes[type] ?? 0

export class MessageTypes {
  readonly #definitions: ProtoDefinitions
  readonly #messages = new Map<string, MessageType>()
  readonly #enums = new Map<string, EnumType>()

  constructor(definitions: ProtoDefinitions) {
    this.#definitions = definitions
  }

  /** Undefined: there is none. */
  message(name: string): MessageType | undefined {
    const known = this.#messages.get(name)
    if (known !== undefined) return known
    const definition = this.#definitions.messages.find((one) => one.name === name)
    if (definition === undefined) return undefined
    const fields: MessageField[] = []
    const byId = new Map<number, MessageField>()
    const type: MessageType = { name, isProto3: definition.isProto3, fields, byId }
    // Before its fields, which may be of its own type.
    this.#messages.set(name, type)
    for (const one of definition.fields) {
      const field = this.#field(one)
      fields.push(field)
      byId.set(field.id, field)
    }
    return type
  }

  methods(service: string): readonly ProtoMethodDefinition[] {
    return this.#definitions.services.find(({ name }) => name === service)?.methods ?? []
  }

  #field(field: ProtoFieldDefinition): MessageField {
    const { name, id, type, of = '', isPacked, key } = field
    const message = type === 'message' ? this.message(of) : undefined
    const enumeration = type === 'enum' ? this.#enum(of) : undefined
    const wire = isPacked || key !== undefined ? 2 : wireTypeOf(type)
    return {
      ...field,
      camel: name.replace(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      tag: id * 8 + wire,
      ...(message && { message }),
      ...(enumeration && { enumeration }),
    }
  }

  #enum(name: string): EnumType {
    const known = this.#enums.get(name)
    if (known !== undefined) return known
    const values = this.#definitions.enums.find((one) => one.name === name)?.values ?? []
    // Of several names for one number, the first is its name.
    const byValue = new Map(values.toReversed().map(([text, value]) => [value, text]))
    const made: EnumType = { byName: new Map(values), byValue }
    this.#enums.set(name, made)
    return made
  }
}
