/**
 * Variables of a request by the names that nginx and Apache APISIX use: `remote_addr`, `http_user_agent`, `arg_page`.
 * A name is looked up once, when a plan is built; what is left is a function of the exchange. Texts have one character a
 * byte, as everything that is read off the wire.
 */

import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { inBytes } from '../config/regular-expression.ts'
import { type VariableFamily, type VariableName, variableFamilies } from '../config/variable-names.ts'
import { readIPv4, readIPv6 } from './addresses.ts'
import { bodyField, formField, graphqlField, graphqlFields, type Value, wholeBody } from './body-variables.ts'
import { causeOf } from './cause.ts'
import { bearerClaim } from './claims.ts'
import type { Exchange } from './exchange.ts'
import { firstPair, percentDecoded } from './query.ts'
import { tlsVariables } from './tls/variables.ts'

export type { Value } from './body-variables.ts'

/** Undefined: the exchange has no such value (yet). */
export type Variable = (exchange: Exchange) => string | undefined

/** A getter for what conditions compare: nearly always a text, but of JSON also numbers, lists and the like. */
export function compileValue(name: string): (exchange: Exchange) => Value {
  return getterOf(name) ?? absent
}

/** A getter for the text of a variable; one that finds nothing when there is no variable of that name. */
export function compileVariable(name: string): Variable {
  if (isPlain(name)) return named[name]
  const value = getterOf(name)
  return value === undefined ? absent : (x) => textOf(value(x))
}

/** As APISIX fills it in: lists and maps have no text. */
function textOf(value: Value): string | undefined {
  if (typeof value === 'string' || value === undefined) return value
  if (typeof value === 'number') return String(Number(value.toPrecision(14)))
  return typeof value === 'boolean' ? String(value) : undefined
}

/**
 * Fills `$name`, `${name}` and `${ name ?? default }` in a text; what an exchange does not have becomes its default, else
 * empty. `\$` is no reference, as in APISIX.
 *
 * @param change Is applied to every value that is filled in.
 */
export function compileTemplate(
  text: string,
  change?: (value: string) => string,
): (exchange: Exchange) => string {
  const source = inBytes(text)
  const pieces: (string | ((exchange: Exchange) => string))[] = []
  let copied = 0
  for (const match of source.matchAll(REFERENCE)) {
    if (match.index > copied) pieces.push(source.slice(copied, match.index))
    const { name, standIn } = referenceOf(match)
    const variable = compileVariable(name)
    pieces.push(
      change === undefined
        ? (exchange) => variable(exchange) ?? standIn
        : (exchange) => change(variable(exchange) ?? standIn),
    )
    copied = match.index + match[0].length
  }
  if (pieces.length === 0) return () => source
  if (copied < source.length) pieces.push(source.slice(copied))
  return (exchange) => {
    let filled = ''
    for (const piece of pieces) filled += typeof piece === 'string' ? piece : piece(exchange)
    return filled
  }
}

/** Names of the variables that a template refers to. */
export function templateVariables(text: string): string[] {
  return Array.from(text.matchAll(REFERENCE), (match) => referenceOf(match).name)
}

const REFERENCE = /(?<!\\)\$(?:\{\s*([^}]+?)\s*\}|([\w.]+))/g

function referenceOf([, braced, bare]: RegExpExecArray): { name: string; standIn: string } {
  const [name = '', standIn = ''] = (braced ?? bare!).split(/\s*\?\?\s*/)
  return { name, standIn }
}

const absent: Variable = () => undefined
const host = hostname()

const named: Record<VariableName, Variable> = {
  // The request.
  uri: (x) => percentDecoded(x.request.path),
  document_uri: (x) => percentDecoded(x.request.path),
  request_uri: ({ request: { path, query } }) => percentDecoded(path) + (query === '' ? '' : `?${query}`),
  real_request_uri: (x) => x.request.target,
  args: (x) => present(x.request.query),
  query_string: (x) => present(x.request.query),
  is_args: (x) => (x.request.query === '' ? undefined : '?'),
  request: requestLine,
  request_line: requestLine,
  request_method: (x) => x.request.method,
  method: (x) => x.request.method,
  request_length: (x) => String(x.request.headBytes + x.request.bodyBytes),
  server_protocol: (x) => `HTTP/${x.request.version}`,
  request_id: (x) => x.id,
  apisix_request_id: (x) => x.id,
  host: (x) => present(x.request.host),
  content_length: (x) => x.request.headers.get('content-length'),
  content_type: (x) => x.request.headers.get('content-type'),
  remote_user: (x) => basicUser(x.request.headers.get('authorization')),

  // The connection.
  remote_addr: (x) => x.client.address,
  binary_remote_addr: (x) => binary(x.client.address),
  remote_port: (x) => (x.client.port === 0 ? undefined : String(x.client.port)),
  realip_remote_addr: (x) => x.client.peerAddress,
  realip_remote_port: (x) => String(x.client.peerPort),
  server_addr: (x) => x.client.localAddress,
  server_port: (x) => String(x.client.localPort),
  // nginx's name of a server that takes every host, which APISIX's is.
  server_name: () => '_',
  scheme: (x) => x.client.scheme,
  https: (x) => (x.client.scheme === 'https' ? 'on' : undefined),
  proxy_add_x_forwarded_for: (x) => {
    const before = x.request.headers.getAll('x-forwarded-for')
    return before === undefined ? x.client.peerAddress : `${before}, ${x.client.peerAddress}`
  },

  ...tlsVariables,

  // What the gateway made of it.
  route_id: (x) => present(x.binding?.routeId),
  route_name: (x) => present(x.binding?.routeName),
  service_id: (x) => present(x.binding?.serviceId),
  service_name: (x) => present(x.binding?.serviceName),
  consumer_name: (x) => x.consumer?.username,
  consumer_group_id: (x) => x.consumer?.spec.group_id,

  // The upstream.
  balancer_ip: (x) => x.upstream?.ip,
  balancer_port: (x) => (x.upstream === null ? undefined : String(x.upstream.port)),
  upstream_unresolved_host: (x) => x.upstream?.host,
  upstream_addr: (x) => x.upstream?.addresses ?? x.told?.upstream_addr,
  upstream_status: (x) => present(x.upstream?.statuses) ?? x.told?.upstream_status,
  upstream_header_time: (x) => seconds(x.timings.upstreamStart, x.timings.upstreamHead),
  upstream_response_time: upstreamTime,

  // The answer.
  status: (x) => status(x.response.status),
  body_bytes_sent: (x) => String(x.response.bodyBytes),
  bytes_sent: (x) => String(x.response.headBytes + x.response.bodyBytes),
  request_time: (x) => seconds(x.timings.start, x.timings.end || performance.now()),
  request_completion: (x) => (x.outcome === 'complete' ? 'OK' : undefined),

  // Of TCP and UDP sessions.
  protocol: (x) => x.session?.protocol,
  session_time: (x) => x.session && seconds(x.timings.start, x.timings.end || performance.now()),
  bytes_received: (x) => x.session && String(x.session.received),
  upstream_bytes_sent: (x) => x.session && String(x.session.upstreamSent),
  upstream_bytes_received: (x) => x.session && String(x.session.upstreamReceived),
  upstream_connect_time: (x) => x.session && seconds(x.timings.upstreamStart, x.timings.upstreamHead),
  mqtt_client_id: told('mqtt_client_id'),
  cause_source: (exchange) => causeOf(exchange)?.source,
  cause_code: (exchange) => causeOf(exchange)?.code,

  // Of a WebSocket, when it is over.
  websocket_messages_received: told('websocket_messages_received'),
  websocket_messages_sent: told('websocket_messages_sent'),
  opentelemetry_context_traceparent: told('opentelemetry_context_traceparent'),
  opentelemetry_trace_id: told('opentelemetry_trace_id'),
  opentelemetry_span_id: told('opentelemetry_span_id'),

  // The gateway and the clock.
  hostname: () => host,
  pid: () => String(process.pid),
  msec: () => (Date.now() / 1000).toFixed(3),
  time_iso8601: () => iso8601(new Date()),
  time_local: () => commonLog(new Date()),

  // What policies that ask language models tell, and what APISIX says where none does.
  request_type: told('request_type', 'traditional_http'),
  request_llm_model: told('request_llm_model'),
  llm_model: told('llm_model'),
  llm_stream: told('llm_stream', 'false'),
  llm_time_to_first_token: told('llm_time_to_first_token', '0'),
  llm_prompt_tokens: told('llm_prompt_tokens', '0'),
  llm_completion_tokens: told('llm_completion_tokens', '0'),
  llm_total_tokens: told('llm_total_tokens', '0'),
  llm_cache_read_input_tokens: told('llm_cache_read_input_tokens', '0'),
  llm_cache_creation_input_tokens: told('llm_cache_creation_input_tokens', '0'),
  llm_reasoning_tokens: told('llm_reasoning_tokens', '0'),
  llm_has_tool_calls: told('llm_has_tool_calls', 'false'),
  llm_tool_count: told('llm_tool_count', '0'),
  llm_end_user_id: told('llm_end_user_id'),
  llm_content_risk_level: told('llm_content_risk_level'),
  apisix_upstream_response_time: (x) => x.told?.apisix_upstream_response_time ?? upstreamTime(x),
}

type ValueGetter = (exchange: Exchange) => Value

/** Names that end in one of the request's own: a field, a parameter, a cookie. Undefined: there is no such one. */
const families: Record<VariableFamily, (rest: string) => ValueGetter | undefined> = {
  http_: (rest) => {
    const name = fieldName(rest)
    if (!name.includes('-')) return (x) => x.request.headers.getAll(name)
    // To nginx, a field that is written with underscores has the same variable.
    const underscored = name.replaceAll('-', '_')
    return ({ request: { headers } }) => headers.getAll(name) ?? headers.getAll(underscored)
  },
  upstream_http_: (rest) => {
    const name = fieldName(rest)
    return (x) => (x.response.fromUpstream ? x.response.headers.getAll(name) : undefined)
  },
  sent_http_: (rest) => {
    const name = fieldName(rest)
    return (x) => x.response.sent(name)
  },
  arg_: (rest) => {
    const name = inBytes(rest)
    return (x) => firstPair(x.request.query, name)
  },
  cookie_: (rest) => {
    const name = inBytes(rest)
    return (x) => cookieValue(x.request.headers.get('cookie'), name)
  },
  uri_param_: (rest) => {
    if (rest === '_path') return (x) => present(x.binding?.matchedUri)
    if (rest === '_host') return (x) => present(x.binding?.matchedHost)
    if (rest === '_method') return (x) => x.request.method
    return (x) => segmentDecoded(x.binding?.pathParameter?.(rest, x.request.path))
  },
  jwt_: (rest) => (x) => bearerClaim(x, rest),
  'post_arg.': bodyField,
  post_arg_: (rest) => formField(inBytes(rest)),
  graphql_: (rest) => (Object.hasOwn(graphqlFields, rest) ? graphqlField(graphqlFields[rest]!) : undefined),
}

function isPlain(name: string): name is VariableName {
  return Object.hasOwn(named, name)
}

function getterOf(name: string): ValueGetter | undefined {
  if (isPlain(name)) return named[name]
  if (name === 'request_body') return wholeBody
  for (const family of variableFamilies) {
    if (name.startsWith(family) && name.length > family.length)
      return families[family](name.slice(family.length))
  }
  return undefined
}

function told(name: VariableName, standIn?: string): Variable {
  return (x) => x.told?.[name] ?? standIn
}

function upstreamTime({ timings }: Exchange): string | undefined {
  return seconds(timings.upstreamStart, timings.upstreamHead && timings.end)
}

function requestLine({ request }: Exchange): string {
  return `${request.method} ${request.target} HTTP/${request.version}`
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

/** The last cookie of that name, to the next white space or semicolon: lua-resty-cookie's reading, which is APISIX's. */
function cookieValue(cookies: string | undefined, name: string): string | undefined {
  if (cookies === undefined) return undefined
  let found: string | undefined
  for (let start = 0; start < cookies.length; ) {
    const semicolon = cookies.indexOf(';', start)
    const end = semicolon === -1 ? cookies.length : semicolon
    const equals = cookies.indexOf('=', start)
    if (equals !== -1 && equals < end && cookies.slice(start, equals).trim() === name) {
      found = cookies.slice(equals + 1, end).split(/[ \t]/, 1)[0]
    }
    start = end + 1
  }
  return found
}

/** A slash that was escaped inside a segment stays escaped, as APISIX has it. */
function segmentDecoded(segment: string | undefined): string | undefined {
  return segment?.includes('%') ? percentDecoded(segment.replaceAll('%2F', '%252F')) : segment
}

function basicUser(authorization: string | undefined): string | undefined {
  const match = authorization === undefined ? null : /^basic +([\w+/]+=*)$/i.exec(authorization)
  if (match === null) return undefined
  const text = Buffer.from(match[1]!, 'base64').toString('latin1')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : present(text.slice(0, colon))
}

/** The bytes of an address in the order of the network. */
function binary(address: string): string | undefined {
  const family = isIP(address)
  if (family === 0) return undefined
  const bytes = Buffer.alloc(family === 4 ? 4 : 16)
  if (family === 4) bytes.writeInt32BE(readIPv4(address))
  else for (const [i, word] of readIPv6(address).entries()) bytes.writeInt32BE(word, i * 4)
  return bytes.toString('latin1')
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
