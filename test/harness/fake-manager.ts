/** A manager to ask in tests: an HTTP server that answers as it is told and keeps what it was asked. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface Asked {
  method: string
  path: string
  headers: http.IncomingHttpHeaders
  body: string
}

export interface FakeManager {
  address: string
  port: number
  asked: Asked[]
  /** By path, or for every path. */
  answer: (asked: Asked) => { status: number; body: unknown }
  stop(): void
}

export async function startFakeManager(
  t: Pick<TestContext, 'after'>,
  answer: FakeManager['answer'],
  tls?: { key: string; cert: string },
): Promise<FakeManager> {
  const listener: http.RequestListener = async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const asked = { method: request.method!, path: request.url!, headers: request.headers, body }
    manager.asked.push(asked)
    const { status, body: answered } = manager.answer(asked)
    response.statusCode = status
    response.end(typeof answered === 'string' ? answered : JSON.stringify(answered))
  }
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const manager: FakeManager = {
    address: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    asked: [],
    answer,
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
  t.after(() => manager.stop())
  return manager
}
