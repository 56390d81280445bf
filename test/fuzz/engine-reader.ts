/** The engine's parsers, put together as its connections use them, without sockets. */
import type { Settings } from '../../src/config/settings.ts'
import { BodyReader } from '../../src/proxy/http1/body.ts'
import { Head, Parse } from '../../src/proxy/http1/head.ts'
import { RequestTarget } from '../../src/proxy/http1/request-target.ts'
import type { Kind, Reading, ReadMessage } from './reading.ts'

export const limits = { head: 32 * 1024, headers: 100, target: 16 * 1024 }
const paths: Settings['paths'] = {
  encoded_slash: 'reject',
  encoded_backslash: 'reject',
  encoded_nul: 'reject',
  backslash: 'reject',
  repeated_slashes: 'merge',
  parameters: 'check',
  trailing_slash: 'keep',
}

const CR = 0x0d
const LF = 0x0a
const noBytes = Buffer.alloc(0)

export class EngineReader {
  private readonly head = new Head(limits.headers)
  private readonly body = new BodyReader(limits)
  private readonly target = new RequestTarget()

  /** Reads messages until one ends the connection, switches protocols, or is refused. */
  read(kind: Kind, pieces: readonly Buffer[]): Reading {
    const messages: ReadMessage[] = []
    let pending = noBytes as Buffer
    let message: ReadMessage | null = null
    let last = false
    for (const piece of pieces) {
      const bytes = pending.length > 0 ? Buffer.concat([pending, piece]) : piece
      let at = 0
      while (!last && (at < bytes.length || (message !== null && this.body.done))) {
        if (message === null) {
          const next = this.readHead(kind, bytes, at)
          if (next === Parse.incomplete) break
          if (next < 0) return { messages, refused: true, ended: false }
          at = next
          if (this.head.text === '') continue
          message = this.begin(kind)
        }
        if (!this.body.done) {
          at = this.body.next(bytes, at, bytes.length)
          if (this.body.failed) return { messages, refused: true, ended: false }
          message.body += bytes.toString('latin1', this.body.from, this.body.to)
        }
        if (this.body.done) {
          if (this.body.trailers !== null) message.trailers = fieldsOf(this.body.trailers)
          messages.push(message)
          message = null
          last = this.endsConnection(kind)
        }
      }
      if (last) return { messages, refused: false, ended: true }
      pending = Buffer.from(bytes.subarray(at))
    }
    this.body.connectionEnded()
    if (message !== null && this.body.done) messages.push(message)
    return { messages, refused: false, ended: false }
  }

  /** @returns the offset after the head, or after empty lines before it (then the head's text is empty), or a Parse code */
  private readHead(kind: Kind, bytes: Buffer, at: number): number {
    this.head.text = ''
    if (kind === 'response') {
      const next = this.head.parseResponse(bytes, at, bytes.length, limits)
      const { status, chunked, minor } = this.head
      const badInterim = status < 200 && status !== 101 && (chunked || minor === 0)
      return next > 0 && badInterim ? Parse.bad : next
    }
    let start = at
    while (start + 1 < bytes.length && bytes[start] === CR && bytes[start + 1] === LF) start += 2
    if (start > at) return start
    if (start + 1 === bytes.length && bytes[start] === CR) return Parse.incomplete
    const next = this.head.parseRequest(bytes, start, bytes.length, limits)
    if (next <= 0) return next
    if (this.head.method === 'CONNECT' || this.head.method === 'TRACE') return Parse.bad
    return this.target.read(this.head, paths) === null ? next : Parse.bad
  }

  private begin(kind: Kind): ReadMessage {
    const { head, body } = this
    const interim = kind === 'response' && head.status < 200
    const bodiless = interim || (kind === 'response' && (head.status === 204 || head.status === 304))
    if (bodiless) body.beginNone()
    else if (head.chunked) body.beginChunked()
    else if (head.contentLength >= 0) body.beginLength(head.contentLength)
    else if (kind === 'request') body.beginNone()
    else body.beginUntilClose()
    const start = kind === 'request' ? `${head.method} ${head.target}` : `${head.status} ${head.reason}`
    return { start, minor: head.minor, fields: fieldsOf(head), body: '', trailers: [] }
  }

  private endsConnection(kind: Kind): boolean {
    const { head } = this
    if (kind === 'response' && head.status < 200) return head.status === 101
    const upgrade = head.connectionUpgrade && head.upgradeField >= 0
    return upgrade || head.connectionClose || (head.minor === 0 && !head.connectionKeepAlive)
  }
}

/** @throws when the lines that would be copied to the other side say something else than the fields that were read */
function fieldsOf(head: Head): [string, string][] {
  const fields: [string, string][] = []
  for (let n = 0; n < head.count; n++) fields.push([head.name(n), head.value(n)])
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  if (head.keptLines() !== lines) throw new Error(`copied lines differ: ${JSON.stringify(head.keptLines())}`)
  return fields
}
