/**
 * Request targets and hosts in one reading (RFC 9112 section 3.2, RFC 3986 section 6.2).
 * Router, policies, logs and the forwarded request all use the canonical path that is computed here, once.
 */
import { isIPv6 } from 'node:net'
import type { Settings } from '../config/settings.ts'

export type PathRules = Settings['paths']

/** Why a target is refused; always 400. */
export type TargetFault =
  /** Neither `/...` nor a form that the caller took apart before. */
  | 'not_a_path'
  /** White space, controls, or a byte beyond ASCII, which only a policy could have put there; or `?`, which would end the path. */
  | 'bad_character'
  /** `#`: a fragment never travels, and those who accept it disagree about what it means. */
  | 'fragment'
  /** `%` without two hex digits. */
  | 'bad_escape'
  | 'encoded_slash'
  | 'encoded_backslash'
  | 'encoded_nul'
  | 'backslash'
  | 'repeated_slashes'
  | 'parameters'

/** Filled by `readTarget`; made once per connection. */
export interface Target {
  /** Canonical path. */
  path: string
  /** After the first `?`, without it, byte for byte; empty when there is none. */
  query: string
  /** The canonical path differs from what the client sent, so that the client's own bytes must not be forwarded. */
  changed: boolean
}

/**
 * Takes an origin-form target apart. Fills `out` and returns null, or returns why it must be refused.
 * The target holds only bytes 0x21 to 0x7e. `plain` may be set by who has seen every byte of it: a path without `%`, `;`,
 * backslash, and dot or slash after a slash, and no `#` anywhere. Then nothing is left to do.
 */
export function readTarget(target: string, rules: PathRules, out: Target, plain = false): TargetFault | null {
  const question = target.indexOf('?')
  const path = question === -1 ? target : target.slice(0, question)
  out.query = question === -1 ? '' : target.slice(question + 1)
  out.path = path
  out.changed = false
  if (plain) return null
  if (target.includes('#')) return 'fragment'
  const canonical = canonicalPath(path, rules)
  if (canonical.fault !== null) return canonical.fault
  out.path = canonical.path
  out.changed = canonical.path !== path
  return null
}

export type CanonicalPath = { path: string; fault: null } | { path: ''; fault: TargetFault }

/** Canonical form of a path without query: the client's, or one that a policy wrote. */
export function canonicalPath(path: string, rules: PathRules): CanonicalPath {
  if (path.charCodeAt(0) !== SLASH) return refused('not_a_path')
  if (path.includes('#')) return refused('fragment')
  if (!/^[!->@-~]*$/.test(path)) return refused('bad_character')
  if (rules.backslash === 'reject' && path.includes('\\')) return refused('backslash')
  let text = ''
  let copied = 0
  for (let at = path.indexOf('%'); at !== -1; at = path.indexOf('%', at + 3)) {
    const byte = escapedByte(path, at)
    if (byte === -1) return refused('bad_escape')
    if (byte === SLASH && rules.encoded_slash === 'reject') return refused('encoded_slash')
    if (byte === BACKSLASH && rules.encoded_backslash === 'reject') return refused('encoded_backslash')
    if (byte === 0 && rules.encoded_nul === 'reject') return refused('encoded_nul')
    text +=
      path.slice(copied, at) +
      (byte === SLASH && rules.encoded_slash === 'decode' ? '/' : canonicalByte(byte))
    copied = at + 3
  }
  const decoded = text + path.slice(copied)
  if (rules.repeated_slashes === 'reject' && decoded.includes('//')) return refused('repeated_slashes')
  if (rules.parameters === 'reject' && hasParameters(decoded)) return refused('parameters')
  const merged = rules.repeated_slashes === 'merge' ? mergeSlashes(decoded) : decoded
  return { path: withoutDotSegments(merged), fault: null }
}

/**
 * A canonical path as routes and policies compare it: characters that mean the same to every parser whether they are
 * escaped or not stand as themselves, `:` and `@` for instance. RFC 3986 (section 2.2) keeps them apart, servers do not:
 * a route for `/docs:delete` has to take `/docs%3Adelete` too. The upstream gets the spelling of the client.
 */
export function comparablePath(canonical: string): string {
  return canonical.includes('%')
    ? canonical.replace(/%[2-7][0-9A-F]/g, (escaped) => plainOf.get(escaped) ?? escaped)
    : canonical
}

/** Escapes of visible ASCII, but for what structures a target. */
const plainOf: ReadonlyMap<string, string> = new Map(
  Array.from('!"$&\'()*+,:<=>@[]^`{|}', (character) => [percentEncoded(character.charCodeAt(0)), character]),
)

/** True for a path with `;x` in a segment, also where the semicolon is escaped. */
export function hasParameters(path: string): boolean {
  return path.includes(';') || path.includes('%3B')
}

/**
 * The path as a server sees it that cuts `;x` off each segment, as servlet containers do; null when that is no path that
 * would be let in by itself.
 */
export function withoutParameters(path: string, rules: PathRules): string | null {
  const canonical = canonicalPath(cutParameters(path), rules)
  return canonical.fault === null ? canonical.path : null
}

/** The same, and null also where what is left could be read in another way still: `/a/..;x/b` would leave `/a`. */
export function plainWithoutParameters(path: string, rules: PathRules): string | null {
  const cut = cutParameters(path)
  const canonical = canonicalPath(cut, rules)
  return canonical.fault === null && canonical.path === cut ? cut : null
}

function cutParameters(path: string): string {
  return path
    .split('/')
    .map((segment) => segment.replace(/(?:;|%3B).*$/, ''))
    .join('/')
}

function mergeSlashes(path: string): string {
  return path.includes('//') ? path.replace(/\/{2,}/g, '/') : path
}

/**
 * A route's path pattern in the form of the requests that it means: `/a b` as `/a%20b`, `/é` as `/%C3%A9`.
 * What no rule can decide for all listeners (an encoded slash, a backslash) stays as it is written.
 */
export function canonicalPattern(pattern: string): string {
  if (/^[!-$&-~]*$/.test(pattern)) return withoutDotSegments(pattern)
  let text = ''
  for (let i = 0; i < pattern.length; i++) {
    const code = pattern.codePointAt(i)!
    if (code === PERCENT) {
      const byte = escapedByte(pattern, i)
      // APISIX's patterns are written unescaped, so a `%` that escapes nothing is the character itself.
      text += byte === -1 ? '%25' : canonicalByte(byte)
      if (byte !== -1) i += 2
    } else if (code > SPACE && code < DELETE) {
      text += String.fromCharCode(code)
    } else {
      for (const byte of Buffer.from(String.fromCodePoint(code))) text += percentEncoded(byte)
      if (code > 0xffff) i++
    }
  }
  return withoutDotSegments(text)
}

/**
 * The path without `prefix`, or null when what is left is no canonical path any more.
 * `/api../admin` without `/api` would become `/../admin` and leave the space of the route that let it in.
 */
export function stripPrefix(path: string, prefix: string, rules: PathRules): string | null {
  const rest = withoutPrefix(path, prefix)
  if (rest === null || rest === '/') return rest
  const canonical = canonicalPath(rest, rules)
  return canonical.fault === null && canonical.path === rest ? rest : null
}

/** What is left of the path, with a slash in front, whatever it is; null: it does not begin so. */
export function withoutPrefix(path: string, prefix: string): string | null {
  if (!path.startsWith(prefix)) return null
  const rest = path.slice(prefix.endsWith('/') ? prefix.length - 1 : prefix.length)
  return rest.charCodeAt(0) === SLASH ? rest : `/${rest}`
}

export interface AbsoluteTarget {
  scheme: 'http' | 'https'
  /** Replaces the Host field (RFC 9112 section 3.2.2); not checked yet, see `parseHost`. */
  authority: string
  /** Origin-form, or `*` for an OPTIONS request without a path (RFC 9112 section 3.2.4). */
  target: string
}

/** Takes `http://host/path?query` apart; null when it is not of that form. */
export function splitAbsoluteTarget(target: string, method: string): AbsoluteTarget | null {
  const match = /^(https?):\/\/([^/?#]+)(.*)$/i.exec(target)
  if (match === null) return null
  const [, scheme, authority, rest] = match as unknown as [string, string, string, string]
  return {
    scheme: scheme.toLowerCase() as 'http' | 'https',
    authority,
    target: rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`,
  }
}

export interface HostAndPort {
  /** Lower case, without a trailing dot; IPv6 in brackets. */
  host: string
  /** 0 when there is none. */
  port: number
}

/** Reads a Host field or an authority. Null for anything but a name or address with at most one valid port. */
export function parseHost(value: string): HostAndPort | null {
  if (value.length > MAX_HOST) return null
  const end = value.charCodeAt(0) === OPEN_BRACKET ? ipv6End(value) : nameEnd(value)
  if (end === 0) return null
  const port = portAfter(value, end)
  if (port === -1) return null
  const hostEnd = value.charCodeAt(end - 1) === DOT ? end - 1 : end
  return { host: value.slice(0, hostEnd).toLowerCase(), port }
}

const MAX_HOST = 255 + ':65535'.length

const SPACE = 0x20
const PERCENT = 0x25
const DASH = 0x2d
const DOT = 0x2e
const SLASH = 0x2f
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const UNDERSCORE = 0x5f
const TILDE = 0x7e
const DELETE = 0x7f

function refused(fault: TargetFault): CanonicalPath {
  return { path: '', fault }
}

/** Value of the escape that starts at `at`; -1 when it is none. */
function escapedByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at + 1))
  const low = hexDigit(text.charCodeAt(at + 2))
  return high === -1 || low === -1 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (isDigit(code)) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** Unreserved characters stand for themselves, everything else stays escaped (RFC 3986 section 6.2.2). */
function canonicalByte(byte: number): string {
  const unreserved =
    isLetterOrDigit(byte) || byte === DASH || byte === DOT || byte === UNDERSCORE || byte === TILDE
  return unreserved ? String.fromCharCode(byte) : percentEncoded(byte)
}

function percentEncoded(byte: number): string {
  return `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`
}

/** RFC 3986 section 5.2.4. Empty segments stay, and `..` never leaves the root. */
function withoutDotSegments(path: string): string {
  if (!path.includes('/.')) return path
  const kept: string[] = []
  const segments = path.split('/')
  segments.forEach((segment, i) => {
    if (segment !== '.' && segment !== '..') {
      kept.push(segment)
      return
    }
    if (segment === '..' && kept.length > 1) kept.pop()
    if (i === segments.length - 1) kept.push('')
  })
  return kept.join('/')
}

/** End of a registered name or IPv4 address; 0 when it is not one. Names are DNS names: what else RFC 3986 allows has no use. */
function nameEnd(value: string): number {
  // A dot in front makes no name, but nginx and APISIX let it pass, and it can mean nothing else.
  const start = value.charCodeAt(0) === DOT ? 1 : 0
  let i = start
  let label = 0
  for (; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (isLetterOrDigit(code) || code === DASH || code === UNDERSCORE) label++
    else if (code === DOT && label > 0) label = 0
    else break
  }
  return i === start ? 0 : i
}

function ipv6End(value: string): number {
  const close = value.indexOf(']')
  return close !== -1 && !value.includes('%') && isIPv6(value.slice(1, close)) ? close + 1 : 0
}

/** An empty port is none (RFC 3986 section 3.2.3); -1 when it is not a port. */
function portAfter(value: string, end: number): number {
  if (end === value.length) return 0
  if (value.charCodeAt(end) !== COLON || value.length - end > 6) return -1
  let port = 0
  for (let i = end + 1; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (!isDigit(code)) return -1
    port = port * 10 + code - 0x30
  }
  if (end + 1 === value.length) return 0
  return port >= 1 && port <= 65_535 ? port : -1
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isLetterOrDigit(code: number): boolean {
  const lower = code | 0x20
  return isDigit(code) || (lower >= 0x61 && lower <= 0x7a)
}
