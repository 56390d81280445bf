/**
 * Heads of HTTP/2 and the text that they would be in HTTP/1.1. What an upstream sends is written down as such a text and
 * then read by the strict reader that every other head goes through, so that there is one set of rules.
 */
import { reasonPhrase } from '../errors.ts'
import { Head, type HeadLimits } from '../http1/head.ts'
import { Field } from '../http1/known-fields.ts'

/** What is said between neighbours in HTTP/1.1 and is an error in HTTP/2 (RFC 9113 8.2.2). */
const ofTheConnection = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/**
 * Fields of a request, name and value in turn, out of its head as HTTP/1.1 has it.
 * @param takesTrailers the answer may have trailer fields, and who asked is told of them
 */
export function requestFields(text: string, scheme: 'http' | 'https', takesTrailers: boolean): string[] {
  const lineEnd = text.indexOf('\r\n')
  const methodEnd = text.indexOf(' ')
  const method = text.slice(0, methodEnd)
  const target = text.slice(methodEnd + 1, text.indexOf(' ', methodEnd + 1))
  const fields = [':method', method, ':scheme', scheme, ':authority', '', ':path', target]
  for (let at = lineEnd + 2; at < text.length - 2; ) {
    const end = text.indexOf('\r\n', at)
    const colon = text.indexOf(':', at)
    const name = text.slice(at, colon).toLowerCase()
    const value = text.slice(text.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1, end)
    if (name === 'host') fields[5] = value
    else if (!ofTheConnection.has(name)) fields.push(name, value)
    at = end + 2
  }
  if (takesTrailers) fields.push('te', 'trailers')
  return fields
}

/**
 * Reads the head of an answer.
 * @param raw names and values in turn
 * @returns null when it is none that may be passed on
 */
export function responseHead(raw: readonly string[], limits: HeadLimits): Head | null {
  let status = ''
  let lines = ''
  let count = 0
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    if (name === ':status' && status === '') status = raw[i + 1] as string
    else if (name.startsWith(':')) return null
    else {
      lines += `${name}: ${raw[i + 1]}\r\n`
      count++
    }
  }
  const bytes = Buffer.from(`HTTP/1.1 ${status} ${reasonPhrase(Number(status))}\r\n${lines}\r\n`, 'latin1')
  const head = new Head(limits.headers)
  const isWhole = head.parseResponse(bytes, 0, bytes.length, limits) === bytes.length
  return isWhole && head.count === count && head.status !== 101 && !speaksOfConnection(head) ? head : null
}

/** Reads a trailer section. @returns null when it is none that may be passed on */
export function trailerHead(raw: readonly string[], limits: HeadLimits): Head | null {
  let lines = ''
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.startsWith(':')) return null
    lines += `${raw[i]}: ${raw[i + 1]}\r\n`
  }
  const bytes = Buffer.from(`${lines}\r\n`, 'latin1')
  const head = new Head(limits.headers)
  const isWhole = head.parseTrailers(bytes, 0, bytes.length, limits) === bytes.length
  return isWhole && head.count === raw.length / 2 && !speaksOfConnection(head) ? head : null
}

function speaksOfConnection(head: Head): boolean {
  for (let n = 0; n < head.count; n++) {
    switch (head.id(n)) {
      case Field.connection:
      case Field.keepAlive:
      case Field.proxyConnection:
      case Field.te:
      case Field.transferEncoding:
      case Field.upgrade:
      case Field.http2Settings:
        return true
      default:
    }
  }
  return false
}
