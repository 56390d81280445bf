/** Messages -> values for JSON, texts with one character a byte. */
import { type ProtoScalarType, WireError, WireReader, wireType } from '../kit/index.ts'
import { type MessageField, type MessageType, wireTypeOf } from './message-types.ts'

export interface DecodeOptions {
  readonly enums: 'name' | 'value'
  /** Of whole numbers beyond 32 bits. */
  readonly integers: 'number' | 'string' | 'hexstring'
  /** Fields that are not there: `auto`: those of proto3 get their default. */
  readonly defaults: 'auto' | 'all' | 'none'
}

/** Messages in messages. */
const deepest = 100

type Values = Record<string, unknown>

/** @throws WireError */
export function decodeMessage(type: MessageType, bytes: Buffer, options: DecodeOptions, depth = 0): Values {
  if (depth === deepest) throw new WireError('messages are nested too deeply')
  // Without a prototype, as a field may have any name.
  const values: Values = Object.create(null)
  const { defaults } = options
  if (defaults === 'all' || (defaults === 'auto' && type.isProto3)) {
    for (const field of type.fields) {
      const value = defaultOf(field, options)
      if (value !== undefined) values[field.name] = value
    }
  }
  const reader = new WireReader(bytes)
  while (reader.next()) {
    const field = type.byId.get(reader.id)
    if (field === undefined) reader.skip()
    else decodeField(field, reader, values, options, depth)
  }
  return values
}

function decodeField(
  field: MessageField,
  reader: WireReader,
  values: Values,
  options: DecodeOptions,
  depth: number,
): void {
  const { name, isRepeated, key } = field
  if (key !== undefined) {
    if (reader.type !== wireType.bytes) throw mismatch(field)
    values[name] ??= Object.create(null)
    decodeEntry(field, key, new WireReader(reader.bytes()), values[name] as Values, options, depth)
    return
  }
  if (isRepeated === undefined) {
    values[name] = decodeValue(field, reader, options, depth)
    return
  }
  values[name] ??= []
  const list = values[name] as unknown[]
  const isPacked = reader.type === wireType.bytes && wireTypeOf(field.type) !== wireType.bytes
  if (!isPacked) list.push(decodeValue(field, reader, options, depth))
  else {
    const items = new WireReader(reader.bytes())
    items.type = wireTypeOf(field.type)
    while (!items.isAtEnd) list.push(decodeValue(field, items, options, depth))
  }
}

function decodeEntry(
  field: MessageField,
  keyType: ProtoScalarType,
  reader: WireReader,
  entries: Values,
  options: DecodeOptions,
  depth: number,
): void {
  let key = keyType === 'string' ? '' : keyType === 'bool' ? 'false' : '0'
  let value: unknown
  while (reader.next()) {
    if (reader.id === 1) key = keyOf(keyType, reader)
    else if (reader.id === 2) value = decodeValue(field, reader, options, depth)
    else reader.skip()
  }
  const { message } = field
  entries[key] =
    value ?? (message ? decodeMessage(message, Buffer.alloc(0), options, depth + 1) : zeroOf(field, options))
}

function keyOf(type: ProtoScalarType, reader: WireReader): string {
  if (reader.type !== wireTypeOf(type)) throw new WireError('a key has another type')
  const value = decodeScalar(type, reader)
  return typeof value === 'boolean' ? String(value) : typeof value === 'string' ? value : String(value)
}

function decodeValue(
  field: MessageField,
  reader: WireReader,
  options: DecodeOptions,
  depth: number,
): unknown {
  const { type, message, enumeration } = field
  if (reader.type !== wireTypeOf(type)) throw mismatch(field)
  if (type === 'message') {
    const bytes = reader.bytes()
    return message === undefined ? {} : decodeMessage(message, bytes, options, depth + 1)
  }
  if (type === 'enum') {
    const value = Number(BigInt.asIntN(32, reader.varint()))
    return options.enums === 'value' ? value : (enumeration?.byValue.get(value) ?? value)
  }
  const value = decodeScalar(type, reader)
  return typeof value === 'bigint' ? integer(value, options) : value
}

const mismatch = ({ name }: MessageField) => new WireError(`${name} has another type`)

function decodeScalar(type: ProtoScalarType, reader: WireReader): string | number | boolean | bigint {
  switch (type) {
    case 'string':
    case 'bytes':
      return reader.bytes().toString('latin1')
    case 'bool':
      return reader.varint() !== 0n
    case 'double':
      return speakable(reader.fixed64().readDoubleLE())
    case 'float':
      return speakable(shortest(reader.fixed32().readFloatLE()))
    case 'int32':
      return Number(BigInt.asIntN(32, reader.varint()))
    case 'uint32':
      return reader.uint32()
    case 'sint32': {
      const value = reader.uint32()
      return (value >>> 1) ^ -(value & 1)
    }
    case 'fixed32':
      return reader.fixed32().readUInt32LE()
    case 'sfixed32':
      return reader.fixed32().readInt32LE()
    case 'int64':
      return BigInt.asIntN(64, reader.varint())
    case 'uint64':
      return reader.varint()
    case 'sint64': {
      const value = reader.varint()
      return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    case 'fixed64':
      return reader.fixed64().readBigUInt64LE()
    case 'sfixed64':
      return reader.fixed64().readBigInt64LE()
  }
}

/** JSON has no number for these. */
const speakable = (value: number): number | string => (Number.isFinite(value) ? value : String(value))

/** The fewest digits that stand for the same number of 32 bits. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits))
    if (Math.fround(candidate) === value) return candidate
  }
  return value
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): object }

/** As APISIX's library writes them: numbers of 32 bits always as numbers, `#` in front of others that become texts. */
function integer(value: bigint, { integers }: DecodeOptions): unknown {
  if (integers !== 'number' && (value < -0x8000_0000n || value > 0xffff_ffffn)) {
    const sign = value < 0n ? '-' : ''
    const size = value < 0n ? -value : value
    return integers === 'string' ? `#${sign}${size}` : `#${sign}0x${size.toString(16).toUpperCase()}`
  }
  const number = Number(value)
  // All of its digits.
  return Number.isSafeInteger(number) ? number : rawJSON(String(value))
}

/** Of a field that is not there; undefined: nothing. */
function defaultOf(field: MessageField, options: DecodeOptions): unknown {
  if (field.isRepeated) return []
  if (field.key !== undefined) return Object.create(null)
  if (field.fallback !== undefined && options.defaults === 'all') return fallbackOf(field, options)
  return field.type === 'message' || (field.hasPresence && options.defaults === 'auto')
    ? undefined
    : zeroOf(field, options)
}

function fallbackOf({ fallback, enumeration }: MessageField, options: DecodeOptions): unknown {
  if (enumeration !== undefined && options.enums === 'value')
    return enumeration.byName.get(String(fallback)) ?? 0
  return typeof fallback === 'string' ? Buffer.from(fallback).toString('latin1') : fallback
}

function zeroOf({ type, enumeration }: MessageField, { enums }: DecodeOptions): unknown {
  if (type === 'string' || type === 'bytes') return ''
  if (type === 'bool') return false
  return type === 'enum' && enums === 'name' ? (enumeration?.byValue.get(0) ?? 0) : 0
}
