/** A small HTTP server for operators and their tools: status, health, metrics and control, never traffic. */
import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AddressSettings } from '../config/settings.ts'
import type { Log } from '../telemetry/log.ts'

export interface Answer {
  status: number
  contentType: string
  body: string
}

/** A request as an endpoint sees it. */
export interface AdminRequest {
  /** `HEAD` arrives as `GET`. */
  readonly method: string
  /** What the `*` at the end of the endpoint's path stands for, percent-decoded; else empty. */
  readonly rest: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Empty when there is none. */
  readonly body: string
}

export type Endpoint = (request: AdminRequest) => Answer | Promise<Answer>

/**
 * By method and path: `GET /v1/plan`, `DELETE /v1/state/*`. A `*` at the end stands for anything; of several the longest
 * wins. What answers `GET` answers `HEAD`.
 */
export type Endpoints = Readonly<Record<string, Endpoint>>

export interface AdminServerOptions {
  /** Refuses a request before its endpoint is looked for. */
  guard?: (request: IncomingMessage) => Answer | undefined
  /** Status for a path that is there with other methods only. Default: 405. */
  wrongMethod?: 404 | 405
}

/** An import of node:http reads all that it exports, among it WebSocket, which loads undici: 40 ms of every start. */
const { createServer } = process.getBuiltinModule('node:http')

/** Tools ask one at a time; more than that is a mistake or worse. */
const mostConnections = 64
const requestTimeoutMs = 10_000
const largestBody = 8 * 1024 * 1024

export class AdminServer {
  readonly #server: Server
  readonly #load: () => Promise<Endpoints>
  readonly #log: Log
  readonly #guard: (request: IncomingMessage) => Answer | undefined
  readonly #wrongMethod: 404 | 405

  /** `endpoints`: of a function, what it resolves with when the first request has come. */
  constructor(
    endpoints: Endpoints | (() => Promise<Endpoints>),
    log: Log,
    { guard = () => undefined, wrongMethod = 405 }: AdminServerOptions = {},
  ) {
    let loaded: Promise<Endpoints> | undefined
    this.#load = async () => {
      loaded ??= typeof endpoints === 'function' ? endpoints() : Promise.resolve(endpoints)
      return loaded
    }
    this.#log = log
    this.#guard = guard
    this.#wrongMethod = wrongMethod
    this.#server = createServer(
      { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
      (request, response) => this.#serve(request, response),
    )
    this.#server.maxConnections = mostConnections
  }

  /** The port in use. */
  async listen({ host, port }: AddressSettings): Promise<number> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const allow: string[] = []
    const { status, contentType, body } = await this.#answer(request, allow)
    if (response.destroyed) return
    response.writeHead(status, {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      ...(status === 405 && { Allow: allow.join(', ') }),
      // What was not read of a body would be taken for the next request.
      ...(!request.complete && { Connection: 'close' }),
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  /** `allow` is filled when the path is there with other methods only. */
  async #answer(request: IncomingMessage, allow: string[]): Promise<Answer> {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2)
    try {
      const refused = this.#guard(request)
      if (refused !== undefined) return refused
      const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
      const endpoints = await this.#load()
      const found = find(endpoints, method, path)
      if (found === undefined) return this.#notFound(endpoints, path, allow)
      const body = await bodyOf(request)
      if (body === undefined) return text(413, `A body may have ${largestBody} bytes.\n`)
      const { endpoint, rest } = found
      return await endpoint({
        method,
        rest,
        query: new URLSearchParams(query),
        headers: request.headers,
        body,
      })
    } catch (err) {
      // A client that went away while it sent is nobody's failure.
      if (request.errored === null) this.#log.error({ err, path }, 'an admin endpoint failed')
      return text(500, 'This failed; the log says why.\n')
    }
  }

  #notFound(endpoints: Endpoints, path: string, allow: string[]): Answer {
    const methods = new Set(Object.keys(endpoints).map((name) => name.split(' ', 1)[0]!))
    allow.push(...[...methods].filter((method) => find(endpoints, method, path) !== undefined))
    if (allow.length === 0) return text(404, `404 Not Found. Try ${namesOf(endpoints)}.\n`)
    if (allow.includes('GET')) allow.splice(allow.indexOf('GET') + 1, 0, 'HEAD')
    return text(this.#wrongMethod, `This answers ${allow.join(', ')} only.\n`)
  }
}

function find(
  endpoints: Endpoints,
  method: string,
  path: string,
): { endpoint: Endpoint; rest: string } | undefined {
  const exact = `${method} ${path}`
  if (Object.hasOwn(endpoints, exact)) return { endpoint: endpoints[exact]!, rest: '' }
  for (let slash = exact.lastIndexOf('/'); slash !== -1; slash = exact.lastIndexOf('/', slash - 1)) {
    const wildcard = `${exact.slice(0, slash)}/*`
    if (!Object.hasOwn(endpoints, wildcard)) continue
    return { endpoint: endpoints[wildcard]!, rest: decoded(exact.slice(slash + 1)) }
  }
  return undefined
}

const namesOf = (endpoints: Endpoints): string =>
  Object.keys(endpoints)
    .map((name) => name.replace(/^GET /, ''))
    .join(', ')

/** Undefined: larger than is taken. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > largestBody) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString()
}

function decoded(rest: string): string {
  try {
    return decodeURIComponent(rest)
  } catch {
    return rest
  }
}

export function text(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

export function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}

/** An empty table of Lua is `{}` in JSON, and tools that know APISIX know it so. */
export function emptyAsLua(list: readonly unknown[]): unknown {
  return list.length === 0 ? {} : list
}
