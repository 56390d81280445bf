/**
 * Reads the head of one HTTP/1.x message: one strict reading, byte by byte, in place (RFC 9112 2 to 6, RFC 9110 5).
 * What a second parser could read in another way is refused, never repaired: bare CR or LF, obs-fold, white space before
 * a colon, doubtful lengths and codings. A line that passes is canonical or is marked to be rewritten, which is why later
 * stages may copy lines instead of building them again.
 */
import { fieldValueByte, tokenLower } from './chars.ts'
import { Field, knownByHash, knownName } from './known-fields.ts'

export interface HeadLimits {
  /** Bytes of the whole head, start line included. */
  head: number
  headers: number
  /** Bytes of a request target. */
  target: number
}

/** Results of a parse that is not a length: the head is not complete yet, or why it is refused. */
export const Parse = {
  incomplete: 0,
  /** Malformed in a way that leaves no doubt: 400. */
  bad: -1,
  headTooLarge: -2,
  tooManyFields: -3,
  targetTooLong: -4,
  badVersion: -5,
  unknownMethod: -6,
  unknownCoding: -7,
} as const

const HT = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const COLON = 0x3a
const DEL = 0x7f

/** Where a field line lies: offsets into the head's text, the name's hash, and flags. */
export const stride = 6
const NAME = 0
const NAME_END = 1
const VALUE = 2
const VALUE_END = 3
const HASH = 4
const INFO = 5
/** INFO: the line reads exactly `name: value CRLF`, so it may be copied as it stands. */
export const CLEAN = 1
/** INFO: the line is not passed on. */
export const DROPPED = 2
/** INFO: the name has an underscore, which some servers read as a dash. */
export const UNDERSCORE = 4
/** INFO: known field id from this bit up. */
export const ID_SHIFT = 8

/** Target bytes that need a closer look before the path can be used as it is. */
const targetByte = new Uint8Array(256)
for (let byte = 0x21; byte < 0x7f; byte++) targetByte[byte] = 1
for (const char of '%\\;') targetByte[char.charCodeAt(0)] = 2
targetByte['#'.charCodeAt(0)] = 0

const knownMethods = new Set(
  (
    'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PURGE QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE ' +
    'MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK ' +
    'UNLOCK UNSUBSCRIBE'
  ).split(' '),
)

export const isKnownMethod = (method: string): boolean => knownMethods.has(method)

/** One parsed head. Made once per connection and filled again for each message. */
export class Head {
  /** The head as latin1 text, start line to the empty line. */
  text = ''
  /** Field lines, `stride` numbers each. */
  fields: Int32Array
  count = 0
  /** 0 or 1. */
  minor = 1

  /** Declared body length, -1 when there is no Content-Length. */
  contentLength = -1
  chunked = false
  connectionClose = false
  connectionKeepAlive = false
  connectionUpgrade = false
  /** Field names that Connection nominates beyond the ones above, lower case; null for none. */
  nominated: string[] | null = null
  hostField = -1
  upgradeField = -1
  /** Expect: 100-continue was sent. */
  expectContinue = false
  /** Expect with anything else. */
  expectUnknown = false

  /** Requests. */
  method = ''
  target = ''
  /** Start of the query inside `target` (index of `?`), -1 for none. */
  queryAt = -1
  /** The path may differ from its canonical form: `%`, `;`, a backslash, or a dot or a slash after a slash. */
  pathNeedsWork = false

  /** Responses. */
  status = 0
  reason = ''

  private lengths = 0
  private codings = 0
  /** One bit for the hash of each name, so that looking for a field that is not there is over at once. */
  private present = 0

  constructor(maxFields: number) {
    this.fields = new Int32Array(maxFields * stride)
  }

  /**
   * Reads a request head from `bytes[start, end)`.
   * @returns offset after the head, `Parse.incomplete`, or a negative `Parse` code
   */
  parseRequest(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): number {
    this.reset()
    let i = start
    let space = i
    while (space < end && tokenLower[bytes[space] as number] !== 0) space++
    if (space === end) return unfinished(start, end, limits)
    if (bytes[space] !== SP || space === i) return Parse.bad
    const methodEnd = space

    i = space + 1
    const targetStart = i
    let byteClass = 0
    let marks = 0
    let slashBefore = false
    while (i < end) {
      const byte = bytes[i] as number
      byteClass = targetByte[byte] as number
      if (byteClass === 0) break
      marks |= byteClass
      if (byte === 0x3f) {
        if (this.queryAt < 0) this.queryAt = i - targetStart
      } else if (slashBefore && (byte === 0x2e || byte === 0x2f) && this.queryAt < 0) marks |= 2
      slashBefore = byte === 0x2f
      i++
    }
    const targetEnd = i
    if (targetEnd - targetStart > limits.target) return Parse.targetTooLong
    if (i === end) return unfinished(start, end, limits)
    if (bytes[i] !== SP || targetEnd === targetStart) return Parse.bad

    i++
    if (end - i < 10) return unfinished(start, end, limits)
    const version = this.readVersion(bytes, i)
    if (version < 0) return version
    if (bytes[i + 8] !== CR || bytes[i + 9] !== LF) return Parse.bad
    i += 10

    const next = this.parseFields(bytes, start, i, end, limits)
    if (next <= 0) return next
    this.text = latin1(bytes, start, next)
    this.method = isGet(bytes, start, methodEnd) ? 'GET' : this.text.slice(0, methodEnd - start)
    if (this.method !== 'GET' && !knownMethods.has(this.method)) return Parse.unknownMethod
    this.target = this.text.slice(targetStart - start, targetEnd - start)
    this.pathNeedsWork = marks > 1
    return this.checkRequest() || next
  }

  /**
   * Reads a response head from `bytes[start, end)`.
   * @returns offset after the head, `Parse.incomplete`, or a negative `Parse` code
   */
  parseResponse(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): number {
    this.reset()
    let i = start
    if (end - i < 13) return unfinished(start, end, limits)
    if (this.readVersion(bytes, i) < 0 || bytes[i + 8] !== SP) return Parse.bad
    const a = (bytes[i + 9] as number) - 48
    const b = (bytes[i + 10] as number) - 48
    const c = (bytes[i + 11] as number) - 48
    if (a < 1 || a > 5 || b < 0 || b > 9 || c < 0 || c > 9) return Parse.bad
    this.status = a * 100 + b * 10 + c
    i += 12
    const reasonStart = i + 1
    if (bytes[i] === SP) {
      i++
      while (i < end && fieldValueByte[bytes[i] as number] !== 0) i++
    }
    const reasonEnd = i
    if (end - i < 2) {
      return i < end && bytes[i] !== CR ? Parse.bad : unfinished(start, end, limits)
    }
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return Parse.bad
    i += 2

    const next = this.parseFields(bytes, start, i, end, limits)
    if (next <= 0) return next
    this.text = latin1(bytes, start, next)
    if (reasonEnd <= reasonStart) this.reason = ''
    else if (isOk(bytes, reasonStart, reasonEnd)) this.reason = 'OK'
    else this.reason = this.text.slice(reasonStart - start, reasonEnd - start)
    // Two readings of a length, or a coding after which nobody knows where the body ends (RFC 9112 6.3).
    if (this.codings > 0 && (this.lengths > 0 || this.minor === 0)) return Parse.bad
    return next
  }

  /** Reads a trailer section that starts at `start`; same rules as for fields (RFC 9112 7.1.2). */
  parseTrailers(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): number {
    this.reset()
    const next = this.parseFields(bytes, start, start, end, limits)
    if (next > 0) this.text = latin1(bytes, start, next)
    return next
  }

  /** Index of the first field with that name and hash, -1 for none. */
  find(lower: string, hash: number): number {
    return this.findFrom(0, lower, hash)
  }

  /** Index of the first field with that name, also of one that is not passed on; -1 for none. */
  findSent(lower: string, hash: number): number {
    for (let n = 0; n < this.count; n++) if (this.hash(n) === hash && this.nameIs(n, lower)) return n
    return -1
  }

  findFrom(first: number, lower: string, hash: number): number {
    if ((this.present & (1 << hash)) === 0) return -1
    const { fields, count } = this
    for (let n = first; n < count; n++) {
      if (fields[n * stride + HASH] === hash && this.nameIs(n, lower) && !this.isDropped(n)) return n
    }
    return -1
  }

  name(n: number): string {
    return this.text.slice(this.fields[n * stride + NAME], this.fields[n * stride + NAME_END])
  }

  value(n: number): string {
    return this.text.slice(this.fields[n * stride + VALUE], this.fields[n * stride + VALUE_END])
  }

  /** A Content-Length line says its number in the shortest way: leading zeros are valid and read differently by some. */
  isPlainLength(n: number): boolean {
    const at = n * stride
    const digits = (this.fields[at + VALUE_END] as number) - (this.fields[at + VALUE] as number)
    return digits === 1 || this.text.charCodeAt(this.fields[at + VALUE] as number) !== 0x30
  }

  /** Known field id of a line, 0 for all others. */
  id(n: number): number {
    return (this.fields[n * stride + INFO] as number) >>> ID_SHIFT
  }

  hash(n: number): number {
    return this.fields[n * stride + HASH] as number
  }

  info(n: number): number {
    return this.fields[n * stride + INFO] as number
  }

  isDropped(n: number): boolean {
    return ((this.fields[n * stride + INFO] as number) & DROPPED) !== 0
  }

  drop(n: number): void {
    const at = n * stride + INFO
    this.fields[at] = (this.fields[at] as number) | DROPPED
  }

  /** Drops every line of that name. */
  dropNamed(lower: string, hash: number): void {
    for (let n = this.find(lower, hash); n >= 0; n = this.findFrom(n + 1, lower, hash)) this.drop(n)
  }

  /** The lines that were not dropped, in order, each ending with CRLF. Neighbours are copied in one piece. */
  keptLines(): string {
    const { fields, count, text } = this
    let out = ''
    let runStart = -1
    for (let n = 0; n < count; n++) {
      const at = n * stride
      const info = fields[at + INFO] as number
      if ((info & (CLEAN | DROPPED)) === CLEAN) {
        if (runStart < 0) runStart = fields[at] as number
        continue
      }
      if (runStart >= 0) {
        out += text.slice(runStart, fields[at])
        runStart = -1
      }
      if ((info & DROPPED) === 0) out += `${this.name(n)}: ${this.value(n)}\r\n`
    }
    return runStart < 0 ? out : out + text.slice(runStart, text.length - 2)
  }

  nameIs(n: number, lower: string): boolean {
    const at = n * stride
    const length = (this.fields[at + NAME_END] as number) - (this.fields[at + NAME] as number)
    return length === lower.length && this.nameStartsWith(n, lower)
  }

  nameStartsWith(n: number, lower: string): boolean {
    const start = this.fields[n * stride + NAME] as number
    for (let i = 0; i < lower.length; i++) {
      if (tokenLower[this.text.charCodeAt(start + i)] !== lower.charCodeAt(i)) return false
    }
    return true
  }

  private reset(): void {
    this.text = ''
    this.count = 0
    this.contentLength = -1
    this.chunked = false
    this.connectionClose = false
    this.connectionKeepAlive = false
    this.connectionUpgrade = false
    this.nominated = null
    this.hostField = -1
    this.upgradeField = -1
    this.expectContinue = false
    this.expectUnknown = false
    this.queryAt = -1
    this.lengths = 0
    this.codings = 0
    this.present = 0
  }

  /** `HTTP/1.0` or `HTTP/1.1`, nothing else: other versions are not ours to guess (RFC 9112 2.3). */
  private readVersion(bytes: Uint8Array, at: number): number {
    if (
      bytes[at] !== 0x48 ||
      bytes[at + 1] !== 0x54 ||
      bytes[at + 2] !== 0x54 ||
      bytes[at + 3] !== 0x50 ||
      bytes[at + 4] !== 0x2f ||
      bytes[at + 6] !== 0x2e
    ) {
      return Parse.bad
    }
    const major = (bytes[at + 5] as number) - 48
    const minor = (bytes[at + 7] as number) - 48
    if (major < 0 || major > 9 || minor < 0 || minor > 9) return Parse.bad
    if (major !== 1 || minor > 1) return Parse.badVersion
    this.minor = minor
    return 0
  }

  private parseFields(
    bytes: Uint8Array,
    start: number,
    from: number,
    end: number,
    limits: HeadLimits,
  ): number {
    const fields = this.fields
    const maxAt = Math.min(limits.headers * stride, fields.length)
    let at = 0
    let i = from
    for (;;) {
      if (i >= end) return unfinished(start, end, limits)
      let byte = bytes[i] as number
      if (byte === CR) {
        if (i + 1 >= end) return unfinished(start, end, limits)
        if (bytes[i + 1] !== LF) return Parse.bad
        i += 2
        if (i - start > limits.head) return Parse.headTooLarge
        return i
      }
      if (at === maxAt) return Parse.tooManyFields

      const nameStart = i
      let hash = 0
      let underscore = 0
      let lower = tokenLower[byte] as number
      while (lower !== 0) {
        if (byte === 0x5f) underscore = UNDERSCORE
        hash = (Math.imul(hash, 31) + lower) | 0
        i++
        if (i >= end) return unfinished(start, end, limits)
        byte = bytes[i] as number
        lower = tokenLower[byte] as number
      }
      if (byte !== COLON || i === nameStart) return Parse.bad
      const nameEnd = i
      i++
      while (i < end && (bytes[i] === SP || bytes[i] === HT)) i++
      const valueStart = i
      // The bytes of `fieldValueByte`, written out because comparing is cheaper than looking up.
      while (i < end) {
        byte = bytes[i] as number
        if (byte < SP ? byte !== HT : byte === DEL) break
        i++
      }
      if (i + 1 >= end) {
        return i < end && bytes[i] !== CR ? Parse.bad : unfinished(start, end, limits)
      }
      if (bytes[i] !== CR || bytes[i + 1] !== LF) return Parse.bad
      const lineEnd = i
      let valueEnd = i
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HT)) valueEnd--
      i += 2

      let info = valueEnd === lineEnd && valueStart === nameEnd + 2 && bytes[nameEnd + 1] === SP ? CLEAN : 0
      info |= underscore
      fields[at + NAME] = nameStart - start
      fields[at + NAME_END] = nameEnd - start
      fields[at + VALUE] = valueStart - start
      fields[at + VALUE_END] = valueEnd - start
      fields[at + HASH] = hash
      this.present |= 1 << hash
      const id = knownByHash(hash)
      if (id !== 0 && bytesAre(bytes, nameStart, nameEnd, knownName(id))) {
        info |= id << ID_SHIFT
        const refused = this.understand(id, this.count, bytes, valueStart, valueEnd)
        if (refused !== 0) return refused
      }
      fields[at + INFO] = info
      this.count++
      at += stride
    }
  }

  /** Takes note of a field that decides on framing or on the connection. @returns 0, or why the head is refused */
  private understand(id: number, n: number, bytes: Uint8Array, start: number, end: number): number {
    switch (id) {
      case Field.contentLength: {
        const length = decimal(bytes, start, end)
        if (length < 0 || this.lengths > 0) return Parse.bad
        this.lengths = 1
        this.contentLength = length
        return 0
      }
      case Field.transferEncoding:
        if (this.codings > 0) return Parse.bad
        this.codings = 1
        if (tabFollows(bytes, end)) return Parse.bad
        if (!bytesAre(bytes, start, end, 'chunked')) {
          return isPlainToken(bytes, start, end) ? Parse.unknownCoding : Parse.bad
        }
        this.chunked = true
        return 0
      case Field.connection:
        this.readConnection(bytes, start, end)
        return 0
      case Field.host:
        if (this.hostField >= 0) return Parse.bad
        this.hostField = n
        return 0
      case Field.upgrade:
        this.upgradeField = n
        return 0
      case Field.expect:
        if (bytesAre(bytes, start, end, '100-continue') && !this.expectContinue) this.expectContinue = true
        else this.expectUnknown = true
        return 0
      default:
        return 0
    }
  }

  private readConnection(bytes: Uint8Array, start: number, end: number): void {
    if (bytesAre(bytes, start, end, 'keep-alive')) this.connectionKeepAlive = true
    else if (bytesAre(bytes, start, end, 'close')) this.connectionClose = true
    else
      for (const option of latin1(bytes, start, end).toLowerCase().split(',')) this.readOption(option.trim())
  }

  private readOption(option: string): void {
    if (option === 'keep-alive') this.connectionKeepAlive = true
    else if (option === 'close') this.connectionClose = true
    else if (option === 'upgrade') this.connectionUpgrade = true
    else if (option !== '') {
      this.nominated ??= []
      this.nominated.push(option)
    }
  }

  private checkRequest(): number {
    if (this.codings > 0 && (this.lengths > 0 || this.minor === 0)) return Parse.bad
    if (this.hostField < 0 && this.minor === 1) return Parse.bad
    return 0
  }
}

/** The two most frequent words of a start line need neither a string of their own nor a look into a set. */
const isGet = (bytes: Uint8Array, start: number, end: number) =>
  end - start === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54
const isOk = (bytes: Uint8Array, start: number, end: number) =>
  end - start === 2 && bytes[start] === 0x4f && bytes[start + 1] === 0x4b

/** More bytes are needed; or there is too much already. */
function unfinished(start: number, end: number, limits: HeadLimits): number {
  return end - start > limits.head ? Parse.headTooLarge : Parse.incomplete
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return (bytes as Buffer).toString('latin1', start, end)
}

/** Case-insensitive comparison with a lower-case ASCII text; no other folding, so that look-alikes stay different. */
function bytesAre(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    if (tokenLower[bytes[start + i] as number] !== lower.charCodeAt(i)) return false
  }
  return true
}

/** 1*DIGIT within the safe integers, else -1 (RFC 9110 8.6). */
function decimal(bytes: Uint8Array, start: number, end: number): number {
  if (start === end) return -1
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = (bytes[i] as number) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
    if (value > Number.MAX_SAFE_INTEGER) return -1
  }
  return value
}

/** A tab behind the value: allowed, and still read by some parsers as part of a coding that they do not know. */
function tabFollows(bytes: Uint8Array, end: number): boolean {
  let i = end
  while (bytes[i] === SP) i++
  return bytes[i] === HT
}

function isPlainToken(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (tokenLower[bytes[i] as number] === 0) return false
  return end > start
}
