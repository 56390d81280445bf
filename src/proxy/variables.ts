/**
 * Variables of a request by the names that nginx and Apache APISIX use: `remote_addr`, `http_user_agent`, `arg_page`.
 * A name is looked up once, when a plan is built; what is left is a function of the exchange.
 */
import { hostname } from 'node:os'
import type { Exchange } from './exchange.ts'

/** Undefined: the exchange has no such value (yet). */
export type Variable = (exchange: Exchange) => string | undefined

/** What conditions compare: nearly always a text of one character a byte. */
export type Value = string | number | boolean | null | readonly unknown[] | object | undefined

/** A getter for what conditions compare. */
export function compileValue(name: string): (exchange: Exchange) => Value {
  return compileVariable(name)
}

/** A getter for that variable; one that finds nothing when there is no variable of that name. */
export function compileVariable(name: string): Variable {
  return variableOf(name) ?? absent
}

export function isKnownVariable(name: string): boolean {
  return variableOf(name) !== undefined
}

/** Fills `$name` and `${name}` in a text; what an exchange does not have becomes empty. `\$` is no reference, as in APISIX. */
export function compileTemplate(text: string): (exchange: Exchange) => string {
  const pieces: (string | Variable)[] = []
  let copied = 0
  for (const match of text.matchAll(REFERENCE)) {
    if (match.index > copied) pieces.push(text.slice(copied, match.index))
    pieces.push(compileVariable(match[1] ?? match[2]!))
    copied = match.index + match[0].length
  }
  if (pieces.length === 0) return () => text
  if (copied < text.length) pieces.push(text.slice(copied))
  return (exchange) => {
    let filled = ''
    for (const piece of pieces) filled += typeof piece === 'string' ? piece : (piece(exchange) ?? '')
    return filled
  }
}

/** Names of the variables that a template refers to. */
export function templateVariables(text: string): string[] {
  return Array.from(text.matchAll(REFERENCE), (match) => match[1] ?? match[2]!)
}

const REFERENCE = /(?<!\\)\$(?:\{(\w+)\}|(\w+))/g

const absent: Variable = () => undefined
const host = hostname()

const named: Record<string, Variable> = {
  // The request.
  uri: (x) => x.request.path,
  document_uri: (x) => x.request.path,
  request_uri: (x) => (x.request.query === '' ? x.request.path : `${x.request.path}?${x.request.query}`),
  real_request_uri: (x) => x.request.target,
  args: (x) => present(x.request.query),
  query_string: (x) => present(x.request.query),
  is_args: (x) => (x.request.query === '' ? undefined : '?'),
  request: (x) => `${x.request.method} ${x.request.target} HTTP/${x.request.version}`,
  request_method: (x) => x.request.method,
  server_protocol: (x) => `HTTP/${x.request.version}`,
  request_id: (x) => x.id,
  apisix_request_id: (x) => x.id,
  host: (x) => present(x.request.host),
  content_length: (x) => x.request.headers.get('content-length'),
  content_type: (x) => x.request.headers.get('content-type'),

  // The connection.
  remote_addr: (x) => x.client.address,
  remote_port: (x) => String(x.client.peerPort),
  realip_remote_addr: (x) => x.client.peerAddress,
  realip_remote_port: (x) => String(x.client.peerPort),
  server_port: (x) => String(x.client.localPort),
  scheme: (x) => x.client.scheme,
  https: (x) => (x.client.scheme === 'https' ? 'on' : undefined),

  // What the gateway made of it.
  route_id: (x) => present(x.binding?.routeId),
  route_name: (x) => present(x.binding?.routeName),
  service_id: (x) => present(x.binding?.serviceId),
  service_name: (x) => present(x.binding?.serviceName),
  consumer_name: (x) => x.consumer?.username,

  // The upstream.
  balancer_ip: (x) => x.upstream?.host,
  balancer_port: (x) => (x.upstream === null ? undefined : String(x.upstream.port)),
  upstream_addr: (x) => x.upstream?.address,
  upstream_status: (x) => status(x.upstream?.status),
  upstream_header_time: (x) => seconds(x.timings.upstreamStart, x.timings.upstreamHead),
  upstream_response_time: (x) => seconds(x.timings.upstreamStart, x.timings.upstreamHead && x.timings.end),

  // The answer.
  status: (x) => status(x.response.status),
  body_bytes_sent: (x) => String(x.response.bodyBytes),
  request_time: (x) => seconds(x.timings.start, x.timings.end || performance.now()),

  // The gateway and the clock.
  hostname: () => host,
  msec: () => (Date.now() / 1000).toFixed(3),
  time_iso8601: () => iso8601(new Date()),
  time_local: () => commonLog(new Date()),
}

/** Names that end in one of the request's own: a field, a parameter, a cookie. */
const families: Record<string, (rest: string) => Variable> = {
  http_: (rest) => {
    const name = fieldName(rest)
    return (x) => x.request.headers.getAll(name)
  },
  upstream_http_: (rest) => {
    const name = fieldName(rest)
    return (x) => (x.response.fromUpstream ? x.response.headers.getAll(name) : undefined)
  },
  arg_: (rest) => (x) => queryValue(x.request.query, rest),
  cookie_: (rest) => (x) => cookieValue(x.request.headers.get('cookie'), rest),
}

function variableOf(name: string): Variable | undefined {
  if (Object.hasOwn(named, name)) return named[name]
  for (const [prefix, family] of Object.entries(families)) {
    if (name.startsWith(prefix) && name.length > prefix.length) return family(name.slice(prefix.length))
  }
  return undefined
}

function fieldName(rest: string): string {
  return rest.toLowerCase().replaceAll('_', '-')
}

function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

function status(code: number | undefined): string | undefined {
  return code === undefined || code === 0 ? undefined : String(code)
}

/** Between two moments of `Timings`, as nginx writes it; undefined while one of them has not come. */
function seconds(from: number, to: number): string | undefined {
  return from === 0 || to === 0 ? undefined : ((to - from) / 1000).toFixed(3)
}

/** The first value of a query parameter, decoded to bytes as APISIX has it; empty when it has none. */
function queryValue(query: string, name: string): string | undefined {
  for (let start = 0; start < query.length; ) {
    const ampersand = query.indexOf('&', start)
    const end = ampersand === -1 ? query.length : ampersand
    const equals = query.indexOf('=', start)
    const nameEnd = equals === -1 || equals > end ? end : equals
    if (nameEnd > start && formDecoded(query.slice(start, nameEnd)) === name) {
      return formDecoded(query.slice(Math.min(nameEnd + 1, end), end))
    }
    start = end + 1
  }
  return undefined
}

/** One character a byte; an escape that is none stays as it is, as nginx leaves it. */
function formDecoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** The first cookie of that name; a client sends one Cookie field (RFC 6265 section 5.4). */
function cookieValue(cookies: string | undefined, name: string): string | undefined {
  for (const pair of cookies?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

function iso8601(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19) + offset(date, ':')
}

/** As in the Common Log Format: `22/Nov/2026:11:40:00 +0000`. */
function commonLog(date: Date): string {
  const [year, month, day] = [date.getFullYear(), MONTHS[date.getMonth()], two(date.getDate())]
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${day}/${month}/${year}:${time} ${offset(date, '')}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function offset(date: Date, separator: string): string {
  const minutes = -date.getTimezoneOffset()
  const size = Math.abs(minutes)
  return (minutes < 0 ? '-' : '+') + two(Math.floor(size / 60)) + separator + two(size % 60)
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
