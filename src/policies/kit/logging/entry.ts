/**
 * What loggers say about an exchange: the whole entry of Apache APISIX, or the operator's own `log_format`.
 *
 * In the whole entry credentials are blacked out: fields and parameters of the query whose names say that they hold one.
 * What a `log_format` names is written as it is, because somebody asked for it.
 */
import { brotliDecompressSync, constants, gunzipSync, inflateSync } from 'node:zlib'
import type { Exchange, SessionInfo } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'
import { textOfBytes } from './text-of-bytes.ts'

export type LogEntry = Record<string, unknown>
export type Read = (exchange: Exchange) => unknown

/** Settings of `formatFields` and `bodyFields`; a policy may have some of them. */
export interface EntrySettings {
  readonly log_format?: LogEntry | undefined
  readonly log_format_extra?: LogEntry | undefined
  readonly include_req_body?: boolean
  readonly include_req_body_expr?: unknown[] | undefined
  readonly include_resp_body?: boolean
  readonly include_resp_body_expr?: unknown[] | undefined
  readonly max_req_body_bytes?: number
  readonly max_resp_body_bytes?: number
}

type EntryHost = Pick<PolicyHost, 'variable' | 'condition' | 'gateway'> & {
  readonly metadata: Pick<EntrySettings, 'log_format' | 'log_format_extra'> | undefined
}

const deepestFormat = 5
const largestBody = 524_288
const blackedOut = '***'
/** Names of fields and parameters that hold credentials. */
const secretName =
  /authorization|cookie|token|secret|api[-_]?key|passw|credential|signature|^key$|^jwt$|^sig$/i

/** Whether a field or a parameter of that name holds a credential. */
export function isSecretName(name: string): boolean {
  return secretName.test(name)
}

/** The entry about a TCP or UDP session, for which APISIX has none. */
function sessionEntry(exchange: Exchange, session: SessionInfo): LogEntry {
  const { client, binding, timings, upstream } = exchange
  return {
    protocol: session.protocol,
    client_ip: client.address,
    client_port: client.port,
    server: { address: client.localAddress, port: client.localPort },
    ...(client.tls !== null && { sni: client.tls.serverName }),
    route_id: binding?.routeId ?? '',
    service_id: binding?.serviceId ?? '',
    upstream: upstream?.addresses ?? '',
    status: session.status,
    start_time: timings.startedAt,
    latency: timings.end - timings.start,
    bytes_received: session.received,
    bytes_sent: session.sent,
  }
}

/** A body as far as it is logged. */
class Excerpt {
  readonly #pieces: Buffer[] = []
  #length = 0
  /** False: its condition says no. */
  readonly wanted: boolean

  constructor(wanted: boolean) {
    this.wanted = wanted
  }

  /** Takes what fits of the piece. */
  add(piece: Buffer, limit: number): void {
    if (!this.wanted || this.#length >= limit) return
    const part = Buffer.from(piece.subarray(0, limit - this.#length))
    this.#pieces.push(part)
    this.#length += part.length
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

interface Bodies {
  request: Excerpt | undefined
  response: Excerpt | undefined
}

/** Makes the entries of one binding. */
export class LogEntries {
  /** The entry is the operator's own, not the usual one. */
  readonly isCustom: boolean
  readonly #host: EntryHost
  readonly #format: Format | null
  readonly #extra: Format | null
  readonly #requestLimit: number
  readonly #responseLimit: number
  readonly #requestCondition: ((exchange: Exchange) => boolean) | null
  readonly #responseCondition: ((exchange: Exchange) => boolean) | null
  readonly #keepsRequest: boolean
  readonly #keepsResponse: boolean
  readonly #bodies = new WeakMap<Exchange, Bodies>()
  readonly #includes: { request: boolean; response: boolean }

  constructor(settings: EntrySettings, host: EntryHost) {
    this.#host = host
    const { include_req_body: request = false, include_resp_body: response = false } = settings
    const format = settings.log_format ?? filled(host.metadata?.log_format)
    const extra = filled(settings.log_format_extra ?? host.metadata?.log_format_extra)
    this.isCustom = format !== undefined
    this.#format = format === undefined ? null : this.#compile(format, 1)
    this.#extra = extra === undefined || this.isCustom ? null : this.#compile(extra, 1)
    this.#includes = { request, response }
    this.#keepsRequest = request || names(format, 'request_body') || names(extra, 'request_body')
    this.#keepsResponse = response
    this.#requestLimit = settings.max_req_body_bytes ?? largestBody
    this.#responseLimit = settings.max_resp_body_bytes ?? largestBody
    this.#requestCondition = conditionOf(request && settings.include_req_body_expr, host)
    this.#responseCondition = conditionOf(response && settings.include_resp_body_expr, host)
  }

  /** For the phases of a policy that has bodies logged; empty when it does not. */
  get bodyHandlers(): {
    requestBody?: (exchange: Exchange, chunk: Buffer) => undefined
    responseBody?: (exchange: Exchange, chunk: Buffer) => void
  } {
    return {
      ...(this.#keepsRequest && {
        requestBody: (exchange: Exchange, chunk: Buffer) => {
          const bodies = this.#bodiesOf(exchange)
          bodies.request ??= new Excerpt(this.#requestCondition?.(exchange) ?? true)
          bodies.request.add(chunk, this.#requestLimit)
          return undefined
        },
      }),
      ...(this.#keepsResponse && {
        responseBody: (exchange: Exchange, chunk: Buffer) => {
          const bodies = this.#bodiesOf(exchange)
          bodies.response ??= new Excerpt(this.#responseCondition?.(exchange) ?? true)
          bodies.response.add(chunk, this.#responseLimit)
        },
      }),
    }
  }

  /** In `observe` only. */
  read(exchange: Exchange): LogEntry {
    if (this.#format !== null) {
      const entry = this.#format(exchange)
      if (exchange.binding !== null) {
        const { serviceId, routeId } = exchange.binding
        if (serviceId !== '') entry.service_id = serviceId
        entry.route_id = routeId
      }
      return entry
    }
    const entry =
      exchange.session === undefined ? this.#whole(exchange) : sessionEntry(exchange, exchange.session)
    if (exchange.logged !== null) Object.assign(entry, exchange.logged)
    if (this.#extra !== null) {
      for (const [name, value] of Object.entries(this.#extra(exchange))) entry[name] ??= value
    }
    return entry
  }

  /** What `log_format_extra` adds, for entries of another shape. */
  readExtra(exchange: Exchange): LogEntry {
    return this.#extra === null ? {} : this.#extra(exchange)
  }

  #whole(exchange: Exchange): LogEntry {
    const { request, response, binding, client, consumer, upstream, timings } = exchange
    const { headers, querystring, uri } = requestFacts(exchange)
    const total = timings.end - timings.start
    const ofUpstream = timings.upstreamStart === 0 ? undefined : timings.end - timings.upstreamStart
    const bodies = this.#bodies.get(exchange)
    const requestBody = this.#includes.request ? bodies?.request : undefined
    const responseBody = this.#includes.response ? bodies?.response : undefined
    return {
      request: {
        url: `${client.scheme}://${request.host}:${client.localPort}${uri}`,
        uri,
        method: request.method,
        headers,
        querystring,
        size: request.headBytes + request.bodyBytes,
        ...(requestBody?.wanted && { body: this.#requestText(exchange) }),
      },
      response: {
        status: response.status,
        headers: responseFields(exchange),
        size: response.headBytes + response.bodyBytes,
        ...(responseBody?.wanted && { body: decoded(exchange, responseBody.bytes) }),
      },
      server: this.#host.gateway,
      ...(upstream !== null && { upstream: upstream.addresses }),
      service_id: binding === null ? request.host : binding.serviceId,
      ...(binding !== null && { route_id: binding.routeId }),
      ...(consumer !== null && { consumer: { username: consumer.username } }),
      client_ip: client.address,
      start_time: Math.round(timings.startedAt),
      latency: total,
      ...(ofUpstream !== undefined && { upstream_latency: ofUpstream }),
      apisix_latency: ofUpstream === undefined ? total : Math.max(0, total - ofUpstream),
    }
  }

  #compile(format: LogEntry, depth: number): Format {
    const reads = Object.entries(format).map(([name, value]) => [name, this.#reading(value, depth)] as const)
    return (exchange) => {
      const entry: LogEntry = {}
      for (const [name, read] of reads) {
        const value = read(exchange)
        if (value !== undefined) entry[name] = value
      }
      return entry
    }
  }

  #reading(value: unknown, depth: number): Read {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return depth >= deepestFormat ? () => ({}) : this.#compile(value as LogEntry, depth + 1)
    }
    if (typeof value !== 'string' || !value.startsWith('$')) return () => value
    const name = value.slice(1)
    if (name === 'request_body') return (exchange) => this.#requestText(exchange)
    if (name === 'resp_body') {
      return (exchange) => {
        const body = this.#bodies.get(exchange)?.response
        return body?.wanted ? decoded(exchange, body.bytes) : undefined
      }
    }
    const variable = this.#host.variable(name)
    // A number in APISIX, unlike all the others.
    if (name === 'status') return (exchange) => Number(variable(exchange))
    return (exchange) => {
      const found = variable(exchange)
      return found === undefined ? undefined : textOfBytes(found)
    }
  }

  /** What a policy wants to be told of the body goes before the body itself. */
  #requestText(exchange: Exchange): string | undefined {
    const body = this.#bodies.get(exchange)?.request
    if (!body?.wanted) return undefined
    const { concealedBody } = exchange.request
    return concealedBody === null
      ? body.bytes.toString()
      : textOfBytes(concealedBody.slice(0, this.#requestLimit))
  }

  #bodiesOf(exchange: Exchange): Bodies {
    let bodies = this.#bodies.get(exchange)
    if (bodies === undefined) {
      bodies = { request: undefined, response: undefined }
      this.#bodies.set(exchange, bodies)
    }
    return bodies
  }
}

type Format = (exchange: Exchange) => LogEntry

function conditionOf(vars: unknown, host: EntryHost): ((exchange: Exchange) => boolean) | null {
  return vars ? host.condition(vars) : null
}

/** An empty format is none. */
function filled(format: LogEntry | undefined): LogEntry | undefined {
  return format !== undefined && Object.keys(format).length > 0 ? format : undefined
}

/** Whether the format refers to the variable, however deep. */
function names(format: unknown, variable: string): boolean {
  if (format === `$${variable}`) return true
  if (typeof format !== 'object' || format === null) return false
  return Object.values(format).some((value) => names(value, variable))
}

/** Path and query as they are logged. */
export function loggedUri(exchange: Exchange): string {
  return requestFacts(exchange).uri
}

function requestFacts({ request }: Exchange): { headers: LogEntry; querystring: LogEntry; uri: string } {
  const headers: LogEntry = {}
  request.headers.forEach((name, value) => {
    collect(headers, name.toLowerCase(), value)
  })
  const querystring: LogEntry = {}
  const path = textOfBytes(percentDecoded(request.path))
  if (request.query === '') return { headers, querystring, uri: path }
  const pairs: string[] = []
  for (const pair of request.query.split('&')) {
    const equals = pair.indexOf('=')
    const name = textOfBytes(
      percentDecoded((equals === -1 ? pair : pair.slice(0, equals)).replaceAll('+', ' ')),
    )
    const isSecret = equals !== -1 && secretName.test(name)
    pairs.push(isSecret ? `${pair.slice(0, equals)}=${blackedOut}` : pair)
    if (name === '') continue
    if (equals === -1) add(querystring, name, true)
    else collect(querystring, name, percentDecoded(pair.slice(equals + 1).replaceAll('+', ' ')))
  }
  return { headers, querystring, uri: `${path}?${textOfBytes(pairs.join('&'))}` }
}

function responseFields({ response }: Exchange): LogEntry {
  const headers: LogEntry = {}
  response.forEachSent((name, value) => collect(headers, name.toLowerCase(), value))
  return headers
}

function collect(map: LogEntry, name: string, value: string): void {
  add(map, name, secretName.test(name) ? blackedOut : textOfBytes(value))
}

/** A name that comes again has a list of values. */
function add(map: LogEntry, name: string, value: string | true): void {
  if (!Object.hasOwn(map, name)) {
    // `__proto__` is a name like any other here.
    Object.defineProperty(map, name, { value, enumerable: true, writable: true, configurable: true })
    return
  }
  const known = map[name]
  if (Array.isArray(known)) known.push(value)
  else map[name] = [known, value]
}

function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** As far as it can be decoded: the excerpt may end anywhere. No more comes out than is logged at most. */
function decoded(exchange: Exchange, bytes: Buffer): string {
  let coding: string | undefined
  exchange.response.forEachSent((name, value) => {
    if (name.toLowerCase() === 'content-encoding') coding = value.toLowerCase()
  })
  const options = { maxOutputLength: largestBody * 2 }
  const partly = { ...options, finishFlush: constants.Z_SYNC_FLUSH }
  try {
    if (coding === 'gzip' || coding === 'x-gzip') return gunzipSync(bytes, partly).toString()
    if (coding === 'deflate') return inflateSync(bytes, partly).toString()
    if (coding === 'br') {
      return brotliDecompressSync(bytes, {
        ...options,
        finishFlush: constants.BROTLI_OPERATION_FLUSH,
      }).toString()
    }
  } catch {
    // It is logged as it is.
  }
  return bytes.toString()
}
