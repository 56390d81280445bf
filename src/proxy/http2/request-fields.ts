/**
 * The fields of an HTTP/2 request as the head that HTTP/1 uses, read by the very parser that reads those: one set of rules
 * for both (RFC 9113 8.3 and 10.3). nghttp2, under Node's HTTP/2, has refused before what is malformed in HTTP/2:
 * pseudo-fields that are missing, doubled, misplaced or unknown, upper case, control characters. What is written here is
 * compared with what was read of it all the same, so that no byte of a field can become a line of its own.
 */
import { randomBytes } from 'node:crypto'
import { errors, type GatewayError } from '../errors.ts'
import { type Head, type HeadLimits, Parse } from '../http1/head.ts'
import { Field } from '../http1/known-fields.ts'
import { parseError } from '../http1/own-answer.ts'

/** Shared by all streams of a thread: a head is parsed before the next one is written. */
let scratch: Buffer = Buffer.allocUnsafeSlow(64 * 1024)

/** What one request asked for, beside its head. */
export interface RequestForm {
  /** `:protocol` of an extended CONNECT (RFC 8441); empty for every other request. */
  protocol: string
}

/**
 * Fills `head` from names and values in turn, as node:http2 hands them over.
 * @param hasBody a body follows
 * @returns why the request is refused, or null
 */
export function readFields(
  fields: readonly string[],
  hasBody: boolean,
  head: Head,
  limits: HeadLimits,
  form: RequestForm,
): GatewayError | null {
  let method = ''
  let path = ''
  let authority: string | null = null
  let host: string | null = null
  let cookies = ''
  let lines = ''
  let count = 0
  let isLengthKnown = false
  form.protocol = ''
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    switch (name) {
      case ':method':
        method = value
        break
      case ':path':
        path = value
        break
      case ':authority':
        authority = value
        break
      case ':scheme':
        if (value !== 'https' && value !== 'http') return errors.badRequest
        break
      case ':protocol':
        form.protocol = value
        break
      case 'host':
        if (host !== null) return errors.badRequest
        host = value
        break
      case 'cookie':
        // Crumbs of one field (RFC 9113 8.2.3).
        cookies = cookies === '' ? value : `${cookies}; ${value}`
        break
      default:
        if (name === 'content-length') isLengthKnown = true
        lines += `${name}: ${value}\r\n`
        count++
    }
  }
  // Two names for one server are one too many (RFC 9113 8.3.1).
  if (authority !== null && host !== null && authority.toLowerCase() !== host.toLowerCase())
    return errors.badHost
  const server = authority ?? host
  let isTunnel = false
  if (method === 'CONNECT') {
    isTunnel = form.protocol === 'websocket'
    if (!isTunnel) return errors.methodNotAllowed
    method = 'GET'
  } else if (form.protocol !== '') return errors.badRequest

  const isChunked = hasBody && !isLengthKnown && !isTunnel
  let text = `${method} ${path} HTTP/1.1\r\n`
  if (server !== null) {
    text += `Host: ${server}\r\n`
    count++
  }
  text += lines
  if (cookies !== '') {
    text += `cookie: ${cookies}\r\n`
    count++
  }
  if (isTunnel) {
    text += `Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${webSocketKey()}\r\n`
    count += 3
  } else if (isChunked) {
    text += 'Transfer-Encoding: chunked\r\n'
    count++
  }
  text += '\r\n'
  const read = parse(text, head, limits)
  if (read === Parse.incomplete || read > text.length) return errors.badRequest
  if (read < 0) return parseError(read)
  const isWhole = read === text.length && head.count === count
  if (!isWhole || head.method !== method || head.target !== path) return errors.badRequest
  return isForbidden(head, isTunnel, isChunked) ? errors.badRequest : null
}

/** Fills `head` with a trailer section. @returns false when it cannot be one */
export function readTrailers(fields: readonly string[], head: Head, limits: HeadLimits): boolean {
  let text = ''
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  text += '\r\n'
  const bytes = Buffer.from(text, 'latin1')
  const isRead = head.parseTrailers(bytes, 0, bytes.length, limits) === bytes.length
  return isRead && head.count === fields.length / 2 && head.contentLength < 0 && !head.chunked
}

function parse(text: string, head: Head, limits: HeadLimits): number {
  if (text.length > limits.head) return Parse.headTooLarge
  if (text.length > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length)
  scratch.write(text, 'latin1')
  return head.parseRequest(scratch, 0, text.length, limits)
}

/** Fields about the connection have no place in HTTP/2 (RFC 9113 8.2.2). Those that were written here are expected. */
function isForbidden(head: Head, isTunnel: boolean, isChunked: boolean): boolean {
  let connection = isTunnel ? 1 : 0
  let upgrade = connection
  let coding = isChunked ? 1 : 0
  for (let n = 0; n < head.count; n++) {
    switch (head.id(n)) {
      case Field.connection:
        connection--
        break
      case Field.upgrade:
        upgrade--
        break
      case Field.transferEncoding:
        coding--
        break
      case Field.keepAlive:
      case Field.proxyConnection:
      case Field.http2Settings:
        return true
      case Field.te:
        if (head.value(n).toLowerCase() !== 'trailers') return true
        break
      default:
    }
  }
  return connection !== 0 || upgrade !== 0 || coding !== 0
}

/** What the handshake of HTTP/1.1 wants and that of HTTP/2 has not (RFC 6455 4.1): it says nothing about anybody. */
const webSocketKey = () => randomBytes(16).toString('base64')
