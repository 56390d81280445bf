/**
 * Reads the first message of a TLS connection as far as it tells which certificate is asked for, so that everything that
 * depends on the name (versions, client certificates, sessions) is settled before the handshake begins. OpenSSL reads the
 * same bytes afterwards; that it understood the same name is checked at the end of the handshake.
 */

export type ClientHello =
  /** `name` is what the client asks for (RFC 6066 section 3), lower case; empty: it names none. */
  | { kind: 'hello'; name: string }
  /** More has to arrive. */
  | { kind: 'incomplete' }
  /** It begins like a request without TLS. */
  | { kind: 'plain' }
  | { kind: 'invalid' }

const incomplete: ClientHello = { kind: 'incomplete' }
const plain: ClientHello = { kind: 'plain' }
const invalid: ClientHello = { kind: 'invalid' }

/** Bytes that a first message may have; with large keys of post-quantum exchange they have about 2 KiB. */
export const largestHello = 32 * 1024

const recordHead = 5
const messageHead = 4
/** RFC 8446 section 5.1. */
const largestRecord = 16_384
const handshakeRecord = 22
const clientHello = 1
const serverName = 0
const hostName = 0

export function readClientHello(bytes: Buffer): ClientHello {
  const first = bytes[0]
  if (first === undefined) return incomplete
  if (first !== handshakeRecord) return isMethodLetter(first) ? plain : invalid
  const message = joinRecords(bytes)
  if (message === null) return invalid
  if (message.length > 0 && message[0] !== clientHello) return invalid
  if (message.length < messageHead) return tooLarge(bytes) ? invalid : incomplete
  const end = messageHead + message.readUIntBE(1, 3)
  if (end > largestHello) return invalid
  if (message.length < end) return tooLarge(bytes) ? invalid : incomplete
  const name = nameIn(new Cursor(message, messageHead, end))
  return name === null ? invalid : { kind: 'hello', name }
}

const tooLarge = (bytes: Buffer) => bytes.length > largestHello

const isMethodLetter = (byte: number) => (byte >= 0x41 && byte <= 0x5a) || byte === 0x0d || byte === 0x0a

/** What the records carry that have arrived, also of an unfinished one (RFC 8446 section 5.1); null: they are no records. */
function joinRecords(bytes: Buffer): Buffer | null {
  const pieces: Buffer[] = []
  for (let at = 0; at + recordHead <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 3)
    if (bytes[at] !== handshakeRecord || bytes[at + 1] !== 3 || length === 0 || length > largestRecord)
      return null
    pieces.push(bytes.subarray(at + recordHead, at + recordHead + length))
    at += recordHead + length
  }
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}

/** Null: the message is malformed. */
function nameIn(hello: Cursor): string | null {
  // legacy_version and random; legacy_session_id; cipher_suites; legacy_compression_methods (RFC 8446 section 4.1.2).
  if (!hello.skip(2 + 32) || !hello.skipVector(1) || !hello.skipVector(2) || !hello.skipVector(1)) return null
  if (hello.isAtEnd) return ''
  const extensions = hello.vector(2)
  if (extensions === null || !hello.isAtEnd) return null
  let name: string | null = ''
  let seen = false
  while (!extensions.isAtEnd) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === null || content === null) return null
    if (type !== serverName) continue
    if (seen) return null
    seen = true
    name = nameInExtension(content)
    if (name === null) return null
  }
  return name
}

function nameInExtension(content: Cursor): string | null {
  const list = content.vector(2)
  if (list === null || list.number(1) !== hostName) return null
  const name = list.vector(2)
  // No other kind of name was ever defined, and OpenSSL takes none beside this one either.
  if (name === null || !list.isAtEnd || !content.isAtEnd) return null
  const text = name.text()
  return /^[\x21-\x7e]{1,255}$/.test(text) ? text.toLowerCase() : null
}

/** Reads numbers and vectors with their length in front (RFC 8446 section 3). */
class Cursor {
  private readonly bytes: Buffer
  private at: number
  private readonly end: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get isAtEnd(): boolean {
    return this.at === this.end
  }

  skip(length: number): boolean {
    if (this.end - this.at < length) return false
    this.at += length
    return true
  }

  number(size: 1 | 2): number | null {
    const at = this.at
    if (!this.skip(size)) return null
    return size === 1 ? this.bytes.readUInt8(at) : this.bytes.readUInt16BE(at)
  }

  vector(size: 1 | 2): Cursor | null {
    const length = this.number(size)
    const at = this.at
    return length !== null && this.skip(length) ? new Cursor(this.bytes, at, at + length) : null
  }

  skipVector(size: 1 | 2): boolean {
    return this.vector(size) !== null
  }

  text(): string {
    return this.bytes.toString('latin1', this.at, this.end)
  }
}
