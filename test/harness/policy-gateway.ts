/** For wire tests of policies: a gateway process, and an upstream that keeps what reaches it and answers with it. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before } from 'node:test'
import { request } from 'undici'
import { parse, stringify } from 'yaml'
import { type RunningGateway, startGateway } from './gateway.ts'

/** One request as the upstream got it. */
export interface Received {
  method: string
  target: string
  headers: http.IncomingHttpHeaders
  /** Names, in lower case, and values as they came, one pair a line. */
  fields: [name: string, value: string][]
  body: Buffer
}

export interface Sent {
  method?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

export interface Answered {
  status: number
  headers: Headers
  text: string
  /** What the upstream got of this request; undefined: it got nothing. For requests that are sent one after another. */
  seen: Received | undefined
}

export interface PolicyGateway {
  /** Of the gateway's traffic listener. */
  readonly port: number
  readonly upstreamPort: number
  /** All that the upstream got so far. */
  readonly received: readonly Received[]
  send(path: string, sent?: Sent): Promise<Answered>
  /** What the gateway has printed so far. */
  output(): string
  signal(name: NodeJS.Signals): void
}

/**
 * Starts both before the tests of a file, and stops them after it.
 *
 * @param configure The YAML of routes, consumers and the like. The gateway's own settings (one thread, no further ports)
 *   and the upstream `u` are there already; what stands in the text comes on top.
 * @param answer Answers for the upstream and gives back true; else the answer is the request as JSON: `method`, `target`,
 *   `headers` and `body`.
 */
export function policyGateway(
  configure: (upstreamPort: number) => string | Promise<string>,
  answer: (received: Received, response: http.ServerResponse) => boolean = () => false,
  env: Record<string, string> = {},
): PolicyGateway {
  const received: Received[] = []
  const upstream = http.createServer(async (incoming, response) => {
    const pieces: Buffer[] = []
    try {
      for await (const piece of incoming) pieces.push(piece as Buffer)
    } catch {
      // It broke off, and is none that was received.
      return
    }
    const one = receivedOf(incoming, Buffer.concat(pieces))
    received.push(one)
    if (answer(one, response)) return
    const { method, target, headers, body } = one
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ method, target, headers, body: body.toString() }))
  })
  let gateway: RunningGateway | undefined
  const upstreamPort = () => (upstream.address() as AddressInfo).port

  before(async () => {
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const text = await configure(upstreamPort())
    gateway = await startGateway((port) => completed(text, port, upstreamPort()), env)
  })
  after(async () => {
    await gateway?.stop()
    upstream.closeAllConnections()
    upstream.close()
  })

  return {
    received,
    get port() {
      return gateway!.port
    },
    get upstreamPort() {
      return upstreamPort()
    },
    output: () => gateway!.output(),
    signal: (name) => process.kill(gateway!.pid, name),
    async send(path, { method = 'GET', headers = {}, body = null } = {} as Sent) {
      const before = received.length
      const answered = await request(`http://127.0.0.1:${gateway!.port}${path}`, {
        method: method as 'GET',
        headers,
        body,
      })
      const text = await answered.body.text()
      assert.ok(received.length <= before + 1, 'one request reached the upstream more than once')
      return {
        status: answered.statusCode,
        headers: headersOf(answered.headers),
        text,
        seen: received[before],
      }
    },
  }
}

function completed(text: string, port: number, upstreamPort: number): string {
  const { gateway = {}, upstreams = [], ...rest } = parse(text) as Record<string, object[]>
  return stringify({
    gateway: {
      workers: 1,
      listeners: [{ name: 'http', host: '127.0.0.1', port }],
      metrics: { enabled: false },
      control: { enabled: false },
      ...gateway,
    },
    upstreams: [{ id: 'u', nodes: { [`127.0.0.1:${upstreamPort}`]: 1 } }, ...upstreams],
    ...rest,
  })
}

function receivedOf({ method, url, headers, rawHeaders }: http.IncomingMessage, body: Buffer): Received {
  const fields: [string, string][] = []
  for (let i = 0; i < rawHeaders.length; i += 2)
    fields.push([rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!])
  return { method: method!, target: url!, headers, fields, body }
}

function headersOf(fields: http.IncomingHttpHeaders): Headers {
  const headers = new Headers()
  for (const [name, values] of Object.entries(fields))
    for (const value of [values ?? []].flat()) headers.append(name, value)
  return headers
}
