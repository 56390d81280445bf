/** Servers for tests of loggers, on free ports: they keep what they get. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import type { TestContext } from 'node:test'

export interface LogRequest {
  method: string
  target: string
  headers: IncomingHttpHeaders
  body: string
}

/** What came, one after the other. */
export class Arrivals<T> {
  readonly all: T[] = []
  readonly #waiting: ((item: T) => void)[] = []
  #taken = 0

  add(item: T): void {
    this.all.push(item)
    if (this.#waiting.length > 0) this.#waiting.shift()!(this.all[this.#taken++]!)
  }

  /** The next that was not taken yet. */
  next(): Promise<T> {
    if (this.#taken < this.all.length) return Promise.resolve(this.all[this.#taken++]!)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** @param answer the status and the text for a request */
export async function logServer(
  t: TestContext,
  answer: (request: LogRequest) => { status?: number; text?: string } = () => ({}),
): Promise<{ url: string; requests: Arrivals<LogRequest> }> {
  const requests = new Arrivals<LogRequest>()
  const server = createServer(async (incoming, response) => {
    let body = ''
    for await (const piece of incoming.setEncoding('utf8')) body += piece
    const request = { method: incoming.method!, target: incoming.url!, headers: incoming.headers, body }
    const { status = 200, text = '' } = answer(request)
    requests.add(request)
    response.writeHead(status).end(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

/** Each message is what one connection brought. */
export async function streamServer(t: TestContext): Promise<{ port: number; messages: Arrivals<string> }> {
  const messages = new Arrivals<string>()
  const server = createTcpServer(async (socket) => {
    let text = ''
    for await (const piece of socket.setEncoding('utf8')) text += piece
    messages.add(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { port: (server.address() as AddressInfo).port, messages }
}

export async function datagramServer(t: TestContext): Promise<{ port: number; messages: Arrivals<string> }> {
  const messages = new Arrivals<string>()
  const socket = createSocket('udp4')
  socket.on('message', (message) => messages.add(message.toString()))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { port: socket.address().port, messages }
}
