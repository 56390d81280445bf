/** Servers for tests of loggers, on free ports: they keep what they get. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** Who ends a server: a test, or what stands for one. */
interface Closer {
  after(close: () => void): void
}

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

/** What a request is answered with. */
export interface LogAnswer {
  status?: number
  text?: string
  /** Nothing: the connection breaks. */
  cut?: boolean
}

export interface LogServer {
  url: string
  requests: Arrivals<LogRequest>
  /** From here on nobody is there. */
  stop(): void
}

export async function logServer(
  t: Closer,
  answer: (request: LogRequest) => LogAnswer = () => ({}),
): Promise<LogServer> {
  const requests = new Arrivals<LogRequest>()
  const server = createServer(async (incoming, response) => {
    let body = ''
    for await (const piece of incoming.setEncoding('utf8')) body += piece
    const request = { method: incoming.method!, target: incoming.url!, headers: incoming.headers, body }
    const { status = 200, text = '', cut = false } = answer(request)
    requests.add(request)
    if (cut) incoming.socket.destroy()
    else response.writeHead(status).end(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.after(stop)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, stop }
}

/**
 * Each message is what one connection brought.
 * @param tls absent: it speaks TCP
 */
export async function streamServer(
  t: Closer,
  tls?: TlsOptions,
): Promise<{ port: number; messages: Arrivals<string> }> {
  const messages = new Arrivals<string>()
  const keep = async (socket: Socket) => {
    let text = ''
    for await (const piece of socket.setEncoding('utf8')) text += piece
    messages.add(text)
  }
  const server = tls === undefined ? createTcpServer(keep) : createTlsServer(tls, keep)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { port: (server.address() as AddressInfo).port, messages }
}

export async function datagramServer(t: Closer): Promise<{ port: number; messages: Arrivals<string> }> {
  const messages = new Arrivals<string>()
  const socket = createSocket('udp4')
  socket.on('message', (message) => messages.add(message.toString()))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { port: socket.address().port, messages }
}
