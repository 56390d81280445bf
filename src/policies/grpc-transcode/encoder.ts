/** Values as they stand in JSON, in a form or in a query -> messages. What has no field is left out. */
import type { ProtoScalarType } from '../kit/index.ts'
import { type MessageField, type MessageType, wireTypeOf } from './message-types.ts'

/** A value that its field does not take. */
export class EncodeError extends Error {
  override readonly name = 'EncodeError'
}

/** Messages in messages. */
const deepest = 100

export type Values = Readonly<Record<string, unknown>>

/** Whether a text stands for what it says, and alone for a list of one: in a query or a form everything is a text. */
export interface EncodeStyle {
  readonly isText: boolean
}

/** @throws EncodeError */
export function encodeMessage(type: MessageType, values: Values, style: EncodeStyle, depth = 0): Buffer {
  if (depth === deepest) throw new EncodeError('messages are nested too deeply')
  const parts: Buffer[] = []
  for (const field of type.fields) {
    const value = givenFor(values, field)
    if (value !== undefined && value !== null) encodeField(field, value, parts, style, depth)
  }
  return Buffer.concat(parts)
}

function givenFor(values: Values, { name, camel }: MessageField): unknown {
  if (Object.hasOwn(values, name)) return values[name]
  return Object.hasOwn(values, camel) ? values[camel] : undefined
}

function encodeField(
  field: MessageField,
  value: unknown,
  parts: Buffer[],
  style: EncodeStyle,
  depth: number,
): void {
  if (field.key !== undefined) {
    encodeMap(field, field.key, value, parts, style, depth)
    return
  }
  if (field.isRepeated === undefined) {
    if (Array.isArray(value)) throw new EncodeError(`${field.name} is no list`)
    const bytes = encodeValue(field, value, style, depth)
    if (field.hasPresence || !isZero(bytes)) parts.push(varint(BigInt(field.tag)), bytes)
    return
  }
  const list = Array.isArray(value) ? value : style.isText ? [value] : null
  if (list === null) throw new EncodeError(`${field.name} is a list`)
  const items = list.map((item) => encodeValue(field, item, style, depth))
  const tag = varint(BigInt(field.tag))
  if (!field.isPacked) for (const item of items) parts.push(tag, item)
  else if (items.length > 0) parts.push(tag, withLength(Buffer.concat(items)))
}

function encodeMap(
  field: MessageField,
  key: ProtoScalarType,
  value: unknown,
  parts: Buffer[],
  style: EncodeStyle,
  depth: number,
): void {
  if (!isMap(value)) throw new EncodeError(`${field.name} is a map`)
  const keyTag = varint(BigInt(8 + wireTypeOf(key)))
  const valueTag = varint(BigInt(16 + wireTypeOf(field.type)))
  for (const name of Object.keys(value)) {
    const entry = [
      keyTag,
      encodeScalar(key, name, field.name),
      valueTag,
      encodeValue(field, value[name], style, depth),
    ]
    parts.push(varint(BigInt(field.tag)), withLength(Buffer.concat(entry)))
  }
}

function encodeValue(field: MessageField, value: unknown, style: EncodeStyle, depth: number): Buffer {
  const { name, type, message, enumeration } = field
  if (type === 'message') {
    if (message === undefined || !isMap(value)) throw new EncodeError(`${name} is a message`)
    return withLength(encodeMessage(message, value, style, depth + 1))
  }
  if (type !== 'enum') return encodeScalar(type, value, name)
  const number = typeof value === 'string' ? enumeration?.byName.get(value) : undefined
  return varint(
    BigInt.asUintN(
      64,
      number === undefined ? within(integerOf(value, name), 32, true, name) : BigInt(number),
    ),
  )
}

function encodeScalar(type: ProtoScalarType, value: unknown, name: string): Buffer {
  switch (type) {
    case 'string':
    case 'bytes':
      return withLength(textOf(value, name))
    case 'bool':
      return Buffer.from([booleanOf(value, name) ? 1 : 0])
    case 'double': {
      const bytes = Buffer.allocUnsafe(8)
      bytes.writeDoubleLE(numberOf(value, name))
      return bytes
    }
    case 'float': {
      const bytes = Buffer.allocUnsafe(4)
      bytes.writeFloatLE(numberOf(value, name))
      return bytes
    }
    default:
      return encodeInteger(type, integerOf(value, name), name)
  }
}

function encodeInteger(type: ProtoScalarType, value: bigint, name: string): Buffer {
  const isSigned = !(type === 'uint32' || type === 'uint64' || type === 'fixed32' || type === 'fixed64')
  const size = type.endsWith('32') ? 32 : 64
  const number = within(value, size, isSigned, name)
  if (type.startsWith('sint')) return varint(BigInt.asUintN(64, (number << 1n) ^ (number >> 63n)))
  if (!type.includes('fixed')) return varint(BigInt.asUintN(64, number))
  const bytes = Buffer.allocUnsafe(size / 8)
  if (size === 32) bytes.writeUInt32LE(Number(BigInt.asUintN(32, number)))
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, number))
  return bytes
}

function within(value: bigint, size: 32 | 64, isSigned: boolean, name: string): bigint {
  const fits = (isSigned ? BigInt.asIntN(size, value) : BigInt.asUintN(size, value)) === value
  if (!fits) throw new EncodeError(`${name} is out of range`)
  return value
}

/** As APISIX's library reads them: `#123`, `-0x1f` too. */
const integerText = /^([#+-]*)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/

function integerOf(value: unknown, name: string): bigint {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  const match = typeof value === 'string' ? integerText.exec(value) : null
  if (match === null) throw new EncodeError(`${name} is a whole number`)
  const number = BigInt(match[2]!)
  return match[1]!.includes('-') ? -number : number
}

/** JSON has no words of its own for these. */
const namedNumbers: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

function numberOf(value: unknown, name: string): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && /^[+-]?(?:\d|\.\d)/.test(value) && Number.isFinite(Number(value)))
    return Number(value)
  if (typeof value === 'string' && Object.hasOwn(namedNumbers, value)) return namedNumbers[value]!
  throw new EncodeError(`${name} is a number`)
}

function booleanOf(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  if (value === 'true' || value === '1' || value === 1) return true
  if (value === 'false' || value === '0' || value === 0) return false
  throw new EncodeError(`${name} is true or false`)
}

function textOf(value: unknown, name: string): Buffer {
  if (typeof value === 'string' || typeof value === 'number') return Buffer.from(String(value))
  throw new EncodeError(`${name} is a text`)
}

/** Of a field that need not be there when it is zero, false or empty: nothing but zeros in it. */
const isZero = (bytes: Buffer) => bytes.every((byte) => byte === 0)

const withLength = (bytes: Buffer) => Buffer.concat([varint(BigInt(bytes.length)), bytes])

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
