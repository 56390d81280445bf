/**
 * Finds where a message body ends and which bytes are its content (RFC 9112 6 and 7).
 * Chunked framing is read to the letter: CRLF where CRLF stands, hexadecimal digits and nothing else, extensions checked,
 * bounded and dropped. A framing that is off by one byte is an error, because the next byte could be somebody else's request.
 */
import { fieldValueByte, hexValue, tokenLower } from './chars.ts'
import { Head, type HeadLimits, Parse } from './head.ts'

/** Bytes of chunk extensions that one body may carry (CVE-2024-22019, CVE-2023-39326). */
const maxExtensionBytes = 16 * 1024
/** Hexadecimal digits of a chunk size, leading zeros included: enough for 2^53, too few to overflow. */
const maxSizeDigits = 16
const maxChunkSize = Number.MAX_SAFE_INTEGER

const LF = 0x0a
const CR = 0x0d
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const QUOTE = 0x22
const BACKSLASH = 0x5c

const State = {
  none: 0,
  length: 1,
  untilClose: 2,
  sizeFirst: 3,
  size: 4,
  extensionName: 5,
  extensionValue: 6,
  extensionQuoted: 7,
  extensionEscaped: 8,
  extensionAfterQuote: 9,
  sizeLf: 10,
  data: 11,
  dataCr: 12,
  dataLf: 13,
  trailers: 14,
  done: 15,
  failed: 16,
} as const

export class BodyReader {
  /** The piece of content that the last `next` found: offsets into the bytes it was given; equal for none. */
  from = 0
  to = 0
  /** Content bytes seen so far. */
  total = 0
  /** The trailer section, when it had fields; valid once `done`. */
  trailers: Head | null = null

  private state: number = State.none
  private left = 0
  private digits = 0
  private extensionBytes = 0
  private nameLength = 0
  private held: Buffer | null = null
  private readonly limits: HeadLimits

  constructor(limits: HeadLimits) {
    this.limits = limits
  }

  get done(): boolean {
    return this.state === State.done
  }

  get failed(): boolean {
    return this.state === State.failed
  }

  /** The body ends when the connection does. */
  get endsWithConnection(): boolean {
    return this.state === State.untilClose
  }

  /** Content bytes that are still to come, when the framing told; -1 when it did not. */
  get remaining(): number {
    return this.state === State.length ? this.left : this.state === State.done ? 0 : -1
  }

  beginNone(): void {
    this.begin(State.done)
  }

  beginLength(length: number): void {
    this.begin(length === 0 ? State.done : State.length)
    this.left = length
  }

  beginChunked(): void {
    this.begin(State.sizeFirst)
  }

  beginUntilClose(): void {
    this.begin(State.untilClose)
  }

  /** The peer ended the connection. A body that ends with it is complete now; any other stays unfinished. */
  connectionEnded(): void {
    if (this.state === State.untilClose) this.state = State.done
  }

  /**
   * Consumes from `bytes[start, end)` up to and including one piece of content.
   * @returns the offset after what was consumed; look at `from`, `to`, `done` and `failed`, and call again while bytes are left
   */
  next(bytes: Uint8Array, start: number, end: number): number {
    this.from = this.to = start
    if (this.state === State.length) return this.content(start, end, State.done)
    if (this.state === State.untilClose) {
      this.to = end
      this.total += end - start
      return end
    }
    let i = start
    while (i < end) {
      const byte = bytes[i] as number
      switch (this.state) {
        case State.sizeFirst:
        case State.size: {
          const digit = hexValue[byte] as number
          if (digit !== 255) {
            if (++this.digits > maxSizeDigits) return this.fail(i)
            this.left = this.left * 16 + digit
            if (this.left > maxChunkSize) return this.fail(i)
            this.state = State.size
            i++
            break
          }
          if (this.state === State.sizeFirst) return this.fail(i)
          if (byte === CR) this.state = State.sizeLf
          else if (byte === SEMICOLON) this.startExtension()
          else return this.fail(i)
          i++
          break
        }
        case State.extensionName:
          if (++this.extensionBytes > maxExtensionBytes) return this.fail(i)
          if (tokenLower[byte] !== 0) this.nameLength++
          else if (this.nameLength === 0) return this.fail(i)
          else if (byte === EQUALS) {
            this.state = State.extensionValue
            this.nameLength = 0
          } else if (!this.endExtension(byte)) return this.fail(i)
          i++
          break
        case State.extensionValue:
          if (++this.extensionBytes > maxExtensionBytes) return this.fail(i)
          if (tokenLower[byte] !== 0) this.nameLength++
          else if (byte === QUOTE && this.nameLength === 0) this.state = State.extensionQuoted
          else if (this.nameLength === 0 || !this.endExtension(byte)) return this.fail(i)
          i++
          break
        case State.extensionQuoted:
          if (++this.extensionBytes > maxExtensionBytes) return this.fail(i)
          if (byte === QUOTE) this.state = State.extensionAfterQuote
          else if (byte === BACKSLASH) this.state = State.extensionEscaped
          else if (fieldValueByte[byte] === 0) return this.fail(i)
          i++
          break
        case State.extensionEscaped:
          if (++this.extensionBytes > maxExtensionBytes || fieldValueByte[byte] === 0) return this.fail(i)
          this.state = State.extensionQuoted
          i++
          break
        case State.extensionAfterQuote:
          if (!this.endExtension(byte)) return this.fail(i)
          i++
          break
        case State.sizeLf:
          if (byte !== LF) return this.fail(i)
          i++
          this.digits = 0
          if (this.left === 0) {
            this.state = State.trailers
            return this.trailerSection(bytes, i, end)
          }
          this.state = State.data
          break
        case State.data:
          return this.content(i, end, State.dataCr)
        case State.dataCr:
          if (byte !== CR) return this.fail(i)
          this.state = State.dataLf
          i++
          break
        case State.dataLf:
          if (byte !== LF) return this.fail(i)
          this.state = State.sizeFirst
          i++
          break
        case State.trailers:
          return this.trailerSection(bytes, i, end)
        default:
          return i
      }
    }
    this.from = this.to = i
    return i
  }

  private begin(state: number): void {
    this.state = state
    this.total = 0
    this.left = 0
    this.digits = 0
    this.extensionBytes = 0
    this.trailers = null
    this.held = null
  }

  private content(start: number, end: number, after: number): number {
    const size = Math.min(this.left, end - start)
    this.from = start
    this.to = start + size
    this.total += size
    this.left -= size
    if (this.left === 0) this.state = after
    return this.to
  }

  private startExtension(): void {
    this.state = State.extensionName
    this.nameLength = 0
  }

  private endExtension(byte: number): boolean {
    if (byte === CR) this.state = State.sizeLf
    else if (byte === SEMICOLON) this.startExtension()
    else return false
    return true
  }

  /** Collects the trailer section until its empty line; nearly always it is that line alone. */
  private trailerSection(bytes: Uint8Array, start: number, end: number): number {
    this.from = this.to = end
    if (this.held === null && end - start >= 2 && bytes[start] === CR && bytes[start + 1] === LF) {
      this.state = State.done
      this.from = this.to = start + 2
      return start + 2
    }
    const before = this.held === null ? 0 : this.held.length
    const section: Buffer = Buffer.concat([this.held ?? Buffer.alloc(0), bytes.subarray(start, end)])
    const head = new Head(this.limits.headers)
    const size = head.parseTrailers(section, 0, section.length, this.limits)
    if (size === Parse.incomplete) {
      this.held = section
      return end
    }
    // A length or a coding down here was meant for somebody who reads the body in another way.
    if (size < 0 || head.contentLength >= 0 || head.chunked) return this.fail(start)
    this.held = null
    this.trailers = head.count > 0 ? head : null
    this.state = State.done
    this.from = this.to = start + size - before
    return this.to
  }

  private fail(at: number): number {
    this.state = State.failed
    this.from = this.to = at
    return at
  }
}
