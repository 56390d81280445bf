/** What templates may call. Texts have one character a byte. */
import { parse as parseYaml } from 'yaml'
import { compileSubstitution, parseTolerantJson, type Substitution } from '../kit/index.ts'
import { inBytes } from './bytes.ts'
import { expressionOf, replacementOf } from './pattern.ts'
import {
  isMultipart,
  lengthOf,
  type Multipart,
  member,
  numberOf,
  numberText,
  RenderError,
  typeName,
  type Value,
  written,
} from './values.ts'

export interface Builtin {
  /** @param texts arguments that are written out; undefined: known when the template is filled in only */
  prepare(
    texts: readonly (string | undefined)[],
  ): { run(values: readonly Value[]): Value } | { problem: string }
}

export interface Module {
  readonly members: Readonly<Record<string, Builtin | Module>>
}

const largestText = 16 * 1024 * 1024
const largestYaml = 1024 * 1024

const plain = (run: (...values: Value[]) => Value): Builtin => ({
  prepare: () => ({ run: (values) => run(...values) }),
})

function textOf(value: Value): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  throw new RenderError(`string expected, got ${typeName(value)}`)
}

function integerOf(value: Value, fallback?: number): number {
  const number = value === undefined && fallback !== undefined ? fallback : numberOf(value)
  if (number === undefined) throw new RenderError(`number expected, got ${typeName(value)}`)
  return Math.trunc(number)
}

function encodeJson(value: Value): string {
  if (isMultipart(value)) throw new RenderError('a body in parts is no JSON')
  return JSON.stringify(value === undefined ? null : value)
    .replaceAll('/', '\\/')
    .replaceAll('\x7f', '\\u007f')
}

const xmlEntities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
}

function decodeJson(value: Value): Value {
  const read = parseTolerantJson(Buffer.from(textOf(value), 'latin1').toString())
  return 'error' in read ? undefined : inBytes(read.value)
}

function decodeYaml(value: Value): Value {
  const text = textOf(value)
  if (text.length > largestYaml) throw new RenderError('the YAML is too long')
  try {
    return inBytes(
      parseYaml(Buffer.from(text, 'latin1').toString(), { maxAliasCount: 10, logLevel: 'silent' }),
    )
  } catch {
    throw new RenderError('the YAML cannot be read')
  }
}

/** A function that looks for a Lua pattern, which has to be written out. */
function searching(
  replaces: boolean,
  run: (found: Substitution, text: string, values: readonly Value[]) => Value,
): Builtin {
  return {
    prepare(texts) {
      const [, pattern, replacement] = texts
      if (pattern === undefined || (replaces && replacement === undefined))
        return { problem: 'patterns and what takes their place are written out, as texts' }
      const expression = expressionOf(pattern)
      if ('problem' in expression) return { problem: `the pattern \`${pattern}\` ${expression.problem}` }
      const search = compileSubstitution(expression.source, replaces ? replacementOf(replacement!) : '')
      if ('problem' in search) return { problem: `the pattern \`${pattern}\` ${search.problem}` }
      return { run: (values) => run(search, textOf(values[0]), values) }
    },
  }
}

/** From `first` to `last`, counted from 1, or from the end when below 0. */
function piece(text: string, first: number, last: number): string {
  const begin = first < 0 ? Math.max(0, text.length + first) : Math.max(0, first - 1)
  const end = last < 0 ? text.length + last + 1 : last
  return end <= begin ? '' : text.slice(begin, end)
}

function format(values: readonly Value[]): string {
  const [pattern, ...rest] = values
  let next = 0
  return textOf(pattern).replace(
    /%([-+ 0#]*)(\d{0,2})(?:\.(\d{0,2}))?([sdifgxXcq%])|%/g,
    (all, flags: string, width: string, precision: string | undefined, kind: string | undefined) => {
      if (kind === '%') return '%'
      if (kind === undefined || kind === 'c' || kind === 'q')
        throw new RenderError(`invalid option '${all}' to 'format'`)
      const value = rest[next++]
      const text = kind === 's' ? cut(shown(value), precision) : formatted(kind, value, precision)
      const signed = flags.includes('+') && kind !== 's' && !text.startsWith('-') ? `+${text}` : text
      if (flags.includes('-')) return signed.padEnd(Number(width))
      if (!flags.includes('0') || kind === 's') return signed.padStart(Number(width))
      const sign = /^[-+]/.exec(signed)?.[0] ?? ''
      return sign + signed.slice(sign.length).padStart(Number(width) - sign.length, '0')
    },
  )
}

const cut = (text: string, precision: string | undefined) =>
  precision === undefined ? text : text.slice(0, Number(precision))

function formatted(kind: string, value: Value, precision: string | undefined): string {
  const number = numberOf(value)
  if (number === undefined) throw new RenderError(`number expected, got ${typeName(value)}`)
  if (kind === 'f') return number.toFixed(Number(precision ?? 6))
  if (kind === 'g') return numberText(number)
  if (kind === 'x' || kind === 'X') {
    const text = Math.trunc(number).toString(16)
    return kind === 'x' ? text : text.toUpperCase()
  }
  return String(Math.trunc(number))
}

function shown(value: Value): string {
  if (value === undefined) return 'nil'
  return value === null ? 'null' : written(value)
}

function repeated(text: string, times: number): string {
  if (text.length * times > largestText) throw new RenderError('a text is too long')
  return text.repeat(Math.max(0, times))
}

function joined(table: Value, separator: Value): string {
  const texts: string[] = []
  for (let index = 1; index <= lengthOf(table); index++) texts.push(textOf(member(table, index)))
  return texts.join(separator === undefined ? '' : textOf(separator))
}

const escapeJson = plain(encodeJson)
const readJson = plain(decodeJson)

const list: readonly (readonly [name: string, builtin: Builtin])[] = [
  ['_escape_json', escapeJson],
  [
    '_escape_xml',
    plain((value) => written(value).replace(/[&<>'"]/g, (character) => xmlEntities[character]!)),
  ],
  [
    'tonumber',
    plain((value, base) => {
      if (base === undefined || base === 10) return numberOf(value)
      const number = Number.parseInt(textOf(value), integerOf(base))
      return Number.isNaN(number) ? undefined : number
    }),
  ],
  ['tostring', plain(shown)],
  ['type', plain(typeName)],
  ['string.len', plain((text) => textOf(text).length)],
  ['string.lower', plain((text) => textOf(text).replace(/[A-Z]+/g, (letters) => letters.toLowerCase()))],
  ['string.upper', plain((text) => textOf(text).replace(/[a-z]+/g, (letters) => letters.toUpperCase()))],
  ['string.reverse', plain((text) => [...textOf(text)].reverse().join(''))],
  ['string.rep', plain((text, times) => repeated(textOf(text), integerOf(times)))],
  ['string.sub', plain((text, from, to) => piece(textOf(text), integerOf(from), integerOf(to, -1)))],
  ['string.format', plain((...values) => format(values))],
  [
    'string.gsub',
    searching(true, (search, text, [, , , count]) => {
      if (count !== undefined && count !== 1) throw new RenderError("'gsub' replaces one or all")
      const result = search.apply(text, count === undefined)
      if (result.length > largestText) throw new RenderError('a text is too long')
      return result
    }),
  ],
  [
    'string.find',
    searching(false, (search, text) => {
      const found = search.find(text) as RegExpExecArray | null
      return found === null ? undefined : found.index + 1
    }),
  ],
  [
    'string.match',
    searching(false, (search, text) => {
      const found = search.find(text)
      return found === null ? undefined : (found[1] ?? found[0])
    }),
  ],
  ['table.concat', plain(joined)],
  ['math.floor', plain((value) => Math.floor(numberOf(value) ?? Number.NaN))],
  ['math.ceil', plain((value) => Math.ceil(numberOf(value) ?? Number.NaN))],
  ['math.abs', plain((value) => Math.abs(numberOf(value) ?? Number.NaN))],
  ['ngx.encode_base64', plain((text) => Buffer.from(textOf(text), 'latin1').toString('base64'))],
  ['ngx.decode_base64', plain((text) => Buffer.from(textOf(text), 'base64').toString('latin1'))],
]

export const builtins: ReadonlyMap<string, Builtin> = new Map(list)

const json: Module = { members: { encode: escapeJson, decode: readJson } }

/** What `require` gives. */
export const modules: Readonly<Record<string, Module>> = {
  cjson: json,
  'cjson.safe': json,
  'apisix.core': { members: { json } },
  lyaml: { members: { load: plain(decodeYaml) } },
  tinyyaml: { members: { parse: plain(decodeYaml) } },
}

/** Methods of a body in parts. */
export const methods: Readonly<Record<string, (self: Multipart, values: readonly Value[]) => Value>> = {
  set_simple(self, [name, value]) {
    self.set(textOf(name), textOf(value))
    return undefined
  },
  delete(self, [name]) {
    self.remove(textOf(name))
    return undefined
  },
  tostring: (self) => self.text(),
}
