/** Heads of answers, which are made as texts of HTTP/1.1, as fields of HTTP/2 (RFC 9113 8.2). */
import type { Head } from '../http1/head.ts'
import { trailerLines } from '../http1/trailers.ts'

type Fields = Record<string, string | string[]>

/** Fields about the connection, which HTTP/2 has frames for. */
const aboutConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Names and values in turn, as node:http2 takes them. `length` is that of the head. */
export function answerFields(text: string, status: string, length: number): string[] {
  const fields = [':status', status]
  eachLine(text, text.indexOf('\r\n') + 2, length, (name, value) => fields.push(name, value))
  return fields
}

/** The same for interim answers, which node:http2 wants as an object. */
export function interimFields(text: string): Fields {
  const fields = noFields()
  fields[':status'] = statusOf(text)
  eachLine(text, text.indexOf('\r\n') + 2, text.length, (name, value) => put(fields, name, value))
  return fields
}

export function trailerFields(trailers: Head | null): Fields {
  const fields = noFields()
  const text = trailerLines(trailers)
  if (text !== '') eachLine(text, 0, text.length, (name, value) => put(fields, name, value))
  return fields
}

/** Of `HTTP/1.1 200 OK`. */
export function statusOf(text: string): string {
  return text.slice(9, 12)
}

/** A field may have the name of anything that objects have by nature. */
const noFields = (): Fields => Object.create(null)

function put(fields: Fields, name: string, value: string): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else if (typeof before === 'string') fields[name] = [before, value]
  else before.push(value)
}

function eachLine(
  text: string,
  from: number,
  end: number,
  visit: (name: string, value: string) => void,
): void {
  for (let at = from; at < end; ) {
    const eol = text.indexOf('\r\n', at)
    if (eol <= at) return
    const colon = text.indexOf(':', at)
    const name = text.slice(at, colon).toLowerCase()
    if (!aboutConnection.has(name)) visit(name, text.slice(colon + 1, eol).trim())
    at = eol + 2
  }
}
