/** The port of the Admin API. */
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminSettings } from '../../config/settings.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Answer, bodyText, failure } from './answer.ts'
import type { AdminApi } from './api.ts'

/** See `admin/server.ts`. */
const { createServer } = process.getBuiltinModule('node:http')

const mostConnections = 512
const requestTimeoutMs = 30_000

export class ApiServer {
  readonly #server: Server
  readonly #api: AdminApi
  readonly #log: Log
  readonly #name: string

  /** `name`: for `Server`; empty: none. */
  constructor(api: AdminApi, name: string, log: Log) {
    this.#api = api
    this.#name = name
    this.#log = log
    this.#server = createServer(
      { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
      (request, response) => void this.#serve(request, response),
    )
    this.#server.maxConnections = mostConnections
  }

  /** The port in use. */
  async listen({ host, port }: AdminSettings): Promise<number> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    await this.#api.close()
    this.#server.closeAllConnections()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(incoming)
    if (answer === undefined) {
      response.destroy()
      return
    }
    const body = bodyText(answer)
    const type = typeof answer.body === 'string' ? 'text/plain' : 'application/json'
    response.writeHead(answer.status, {
      ...(body !== '' && { 'Content-Type': type }),
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      ...(this.#name !== '' && { Server: this.#name }),
      // What was not read of a body would be taken for the next request.
      ...(!incoming.complete && { Connection: 'close' }),
      ...answer.headers,
    })
    response.end(incoming.method === 'HEAD' ? undefined : body)
  }

  /** Undefined: the client is gone. */
  async #answer(incoming: IncomingMessage): Promise<Answer | undefined> {
    try {
      return await this.#api.answer(incoming)
    } catch (err) {
      if (incoming.destroyed && !incoming.complete) return undefined
      this.#log.error({ err, path: incoming.url?.split('?')[0] }, 'the Admin API failed')
      return failure(500, 'this failed; the log says why')
    }
  }
}
