/**
 * The functions of the subset, by name and with the modules that they are in. Like those of the language they take null
 * for most texts and answer null for it.
 */
import { randomUUID } from 'node:crypto'
import { DataWeaveProblem } from './problem.ts'
import {
  articled,
  entriesOf,
  equals,
  isArray,
  isObject,
  longestText,
  plain,
  stringOf,
  type Value,
} from './values.ts'

export interface DataWeaveFunction {
  readonly module: string
  /** How many arguments it takes. */
  readonly least: number
  readonly most: number
  /** @throws DataWeaveProblem */
  call(given: readonly Value[], offset: number): Value
}

/** Pieces that a text is split into at most. */
const mostPieces = 10_000

const core = 'dw::Core'
const strings = 'dw::core::Strings'

export const functions: ReadonlyMap<string, DataWeaveFunction> = new Map([
  ['contains', { module: core, least: 2, most: 2, call: contains }],
  ['lower', onText(core, (text) => text.toLowerCase())],
  ['upper', onText(core, (text) => text.toUpperCase())],
  ['trim', onText(core, (text) => text.trim())],
  ['splitBy', { module: core, least: 2, most: 2, call: splitBy }],
  ['sizeOf', { module: core, least: 1, most: 1, call: sizeOf }],
  ['uuid', { module: core, least: 0, most: 0, call: () => randomUUID() }],
  ['substringBefore', onSeparator((text, by) => cut(text, text.indexOf(by), 0, ''))],
  ['substringBeforeLast', onSeparator((text, by) => cut(text, text.lastIndexOf(by), 0, ''))],
  ['substringAfter', onSeparator((text, by) => after(text, text.indexOf(by), by))],
  ['substringAfterLast', onSeparator((text, by) => after(text, text.lastIndexOf(by), by))],
  ['fromBase64', { module: 'dw::core::Binaries', least: 1, most: 1, call: fromBase64 }],
  ['toString', { module: 'dw::util::Coercions', least: 1, most: 2, call: toText }],
])

/** The function of that name; undefined: there is none. Names may stand with the module or without. */
export function functionNamed(name: string): DataWeaveFunction | undefined {
  const short = name.slice(name.lastIndexOf(':') + 1)
  const found = functions.get(short)
  return found !== undefined && (short === name || name === `${found.module}::${short}`) ? found : undefined
}

function onText(module: string, work: (text: string) => string): DataWeaveFunction {
  return {
    module,
    least: 1,
    most: 1,
    call: ([text], offset) => (text === null ? null : work(stringOf(text as Value, offset))),
  }
}

function onSeparator(work: (text: string, separator: string) => string): DataWeaveFunction {
  return {
    module: strings,
    least: 2,
    most: 2,
    call: ([text, separator], offset) =>
      text === null ? null : work(stringOf(text as Value, offset), stringOf(separator as Value, offset)),
  }
}

/** A text without the separator has nothing before it, nor after it. */
function cut(text: string, at: number, from: number, otherwise: string): string {
  return at < 0 ? otherwise : text.slice(from, at)
}

function after(text: string, at: number, separator: string): string {
  return at < 0 ? '' : text.slice(at + separator.length)
}

function contains(given: readonly Value[], offset: number): Value {
  const [where, what] = given as [Value, Value]
  if (where === null) return false
  if (isArray(where)) return where.some((item) => equals(item, what))
  return stringOf(where, offset).includes(stringOf(what, offset))
}

function splitBy(given: readonly Value[], offset: number): Value {
  const [text, separator] = given as [Value, Value]
  if (text === null) return null
  const pieces = stringOf(text, offset).split(stringOf(separator, offset), mostPieces + 1)
  if (pieces.length > mostPieces) {
    throw new DataWeaveProblem(`a String is split into ${mostPieces} pieces at most`, offset)
  }
  return pieces
}

function sizeOf([value]: readonly Value[], offset: number): Value {
  if (value === null || value === undefined) return 0
  if (isArray(value) || typeof value === 'string' || Buffer.isBuffer(value)) return value.length
  if (isObject(value)) return entriesOf(value).length
  throw new DataWeaveProblem(`${articled(value)} has no size`, offset)
}

function fromBase64([text]: readonly Value[], offset: number): Value {
  if (text === null || text === undefined) return null
  const encoded = stringOf(text, offset).trim()
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) throw new DataWeaveProblem('it is not Base64', offset)
  return Buffer.from(encoded, 'base64')
}

const encodings: Readonly<Record<string, 'utf8' | 'latin1' | 'ascii' | 'utf16le'>> = {
  'utf-8': 'utf8',
  utf8: 'utf8',
  'iso-8859-1': 'latin1',
  latin1: 'latin1',
  'us-ascii': 'ascii',
  ascii: 'ascii',
  'utf-16le': 'utf16le',
}

function toText([value, encoding]: readonly Value[], offset: number): Value {
  if (value === null || value === undefined) return null
  if (isArray(value) || isObject(value)) return bounded(JSON.stringify(plain(value)), offset)
  if (!Buffer.isBuffer(value) || encoding === undefined) return stringOf(value, offset)
  const known = encodings[stringOf(encoding, offset).toLowerCase()]
  if (known === undefined) throw new DataWeaveProblem('there is no such encoding', offset)
  return value.toString(known)
}

/** @throws DataWeaveProblem when it is too long */
export function bounded(text: string, offset: number): string {
  if (text.length > longestText)
    throw new DataWeaveProblem(`a String has at most ${longestText} characters`, offset)
  return text
}
