/** Writes the heads of upstreams' answers for clients (RFC 9110 7.6, RFC 9112 6). */
import { reasonPhrase } from '../errors.ts'
import { type Head, ID_SHIFT } from './head.ts'
import type { HeaderEdits } from './header-edits.ts'
import { Field } from './known-fields.ts'

/** How the body of an answer travels to the client. `frames`: the protocol has its own marks. */
export type ClientFraming = 'none' | 'length' | 'chunked' | 'close' | 'frames'

/** Drops what an upstream says to its neighbour only (RFC 9110 7.6.1). @returns whether the answer is dated */
export function cleanResponse(head: Head, keepContentLength: boolean): boolean {
  let dated = false
  for (let n = 0; n < head.count; n++) {
    switch (head.info(n) >>> ID_SHIFT) {
      case Field.other:
        break
      case Field.connection:
      case Field.keepAlive:
      case Field.proxyConnection:
      case Field.te:
      case Field.transferEncoding:
      case Field.upgrade:
        head.drop(n)
        break
      case Field.date:
        dated = true
        break
      case Field.contentLength:
        if (!keepContentLength || !head.isPlainLength(n)) head.drop(n)
        break
      default:
    }
  }
  for (const name of head.nominated ?? []) {
    if (name === 'content-length') continue
    for (let n = 0; n < head.count; n++) if (!head.isDropped(n) && head.nameIs(n, name)) head.drop(n)
  }
  return dated
}

/** The final head of an upstream's answer. `lines` are complete lines of the gateway's own. */
export function passedHead(
  head: Head,
  status: number,
  framing: ClientFraming,
  lines: string,
  edits: HeaderEdits | null,
): string {
  edits?.dropFrom(head)
  const reason = status === head.status ? head.reason : reasonPhrase(status)
  let text = `HTTP/1.1 ${status} ${reason}\r\n${head.keptLines()}${lines}`
  if (framing === 'chunked') text += 'Transfer-Encoding: chunked\r\n'
  else if (framing === 'length' && !keepsLength(head)) text += `Content-Length: ${head.contentLength}\r\n`
  if (edits !== null) text += edits.text()
  return `${text}\r\n`
}

/** The body will not have the length that the upstream announced. */
export function dropLength(head: Head): void {
  for (let n = 0; n < head.count; n++) if (head.id(n) === Field.contentLength) head.drop(n)
}

function keepsLength(head: Head): boolean {
  for (let n = 0; n < head.count; n++)
    if (head.id(n) === Field.contentLength && !head.isDropped(n)) return true
  return false
}

export function interimHead(head: Head): string {
  cleanResponse(head, false)
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${head.keptLines()}\r\n`
}

export function upgradeHead(head: Head, edits: HeaderEdits | null): string {
  cleanResponse(head, false)
  edits?.dropFrom(head)
  return `HTTP/1.1 101 ${head.reason}\r\n${head.keptLines()}Connection: upgrade\r\nUpgrade: websocket\r\n${edits?.text() ?? ''}\r\n`
}
