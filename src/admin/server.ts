/** A small HTTP server for operators and their tools: status, health and metrics, never traffic. */
import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AddressSettings } from '../config/settings.ts'
import type { Log } from '../telemetry/log.ts'

export interface Answer {
  status: number
  contentType: string
  body: string
}

export type Endpoint = (query: URLSearchParams) => Answer | Promise<Answer>

/** By path. Every endpoint answers GET and HEAD, and changes nothing. */
export type Endpoints = Readonly<Record<string, Endpoint>>

/** An import of node:http reads all that it exports, among it WebSocket, which loads undici: 40 ms of every start. */
const { createServer } = process.getBuiltinModule('node:http')

/** Tools ask one at a time; more than that is a mistake or worse. */
const mostConnections = 64
const requestTimeoutMs = 10_000

export class AdminServer {
  readonly #server: Server
  readonly #endpoints: Endpoints
  readonly #log: Log

  constructor(endpoints: Endpoints, log: Log) {
    this.#endpoints = endpoints
    this.#log = log
    this.#server = createServer(
      { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
      (request, response) => this.#answer(request.method ?? '', request.url ?? '', response),
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

  async #answer(method: string, target: string, response: ServerResponse): Promise<void> {
    const { status, contentType, body } = await this.#find(method, target)
    response.writeHead(status, {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      ...(status === 405 && { Allow: 'GET, HEAD' }),
    })
    response.end(method === 'HEAD' ? undefined : body)
  }

  async #find(method: string, target: string): Promise<Answer> {
    const [path = '', query = ''] = target.split('?', 2)
    const endpoint = Object.hasOwn(this.#endpoints, path) ? this.#endpoints[path] : undefined
    if (endpoint === undefined) return text(404, `There is nothing here. Try ${this.#paths()}.\n`)
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'This can only be read.\n')
    try {
      return await endpoint(new URLSearchParams(query))
    } catch (err) {
      this.#log.error({ err, path }, 'an admin endpoint failed')
      return text(500, 'This failed; the log says why.\n')
    }
  }

  #paths(): string {
    return Object.keys(this.#endpoints).join(', ')
  }
}

export function text(status: number, body: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

export function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}
