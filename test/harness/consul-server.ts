/** A Consul agent as far as `/v1/health/service/:service` goes, with blocking queries. */
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { type Closer, listening } from './listening-server.ts'

/** As Consul has it: a node and what runs there. */
export type HealthEntry = Record<string, unknown>

/** An instance as Consul tells it. */
export function instance(port: number, more: Record<string, unknown> = {}): HealthEntry {
  return {
    Node: { Node: 'node1', Address: '127.0.0.1' },
    Service: { ID: `id-${port}`, Service: 'service', Address: '127.0.0.1', Port: port, Meta: null, ...more },
    Checks: [{ Status: 'passing' }],
  }
}

interface Waiting {
  answer(): void
}

export async function startConsul(t: Closer, { token }: { token?: string } = {}) {
  const services = new Map<string, unknown>()
  const waiting = new Set<Waiting>()
  /** Path and query of every request, as it came. */
  const asked: string[] = []
  const arrivals = new EventTarget()
  let index = 10
  let broken: ((response: ServerResponse) => void) | undefined

  const server = http.createServer((request, response) => {
    asked.push(request.url ?? '')
    arrivals.dispatchEvent(new Event('request'))
    if (broken !== undefined) return broken(response)
    if (token !== undefined && request.headers['x-consul-token'] !== token) {
      return respond(response, 403, 'rpc error: Permission denied')
    }
    const { name, wanted, waitMs } = questionOf(request)
    const answer = () => {
      response.setHeader('X-Consul-Index', String(index))
      respond(response, 200, JSON.stringify(services.get(name) ?? []))
    }
    if (wanted < index) return answer()
    const waiter = {
      answer() {
        waiting.delete(waiter)
        clearTimeout(limit)
        answer()
      },
    }
    const limit = setTimeout(() => waiter.answer(), waitMs)
    waiting.add(waiter)
    response.on('close', () => {
      clearTimeout(limit)
      waiting.delete(waiter)
    })
  })
  const { port, stop, restart } = await listening(t, server)
  const wakeAll = () => {
    for (const waiter of [...waiting]) waiter.answer()
  }
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    /** Blocking queries that wait now. */
    get waiting() {
      return waiting.size
    },
    /** A change of the catalogue: whoever waits is answered. `entries` may be anything. */
    set(service: string, entries: unknown) {
      services.set(service, entries)
      index++
      wakeAll()
    },
    /** A write that does not touch any service. */
    touch() {
      index++
      wakeAll()
    },
    /** A cluster that was set up anew: its indexes begin again. */
    rewind(to = 1) {
      index = to
      wakeAll()
    },
    /** From now on, requests are answered like that; undefined: as usual. */
    breakWith(handler: ((response: ServerResponse) => void) | undefined) {
      broken = handler
      for (const waiter of [...waiting]) waiter.answer()
    },
    async requests(count: number) {
      while (asked.length < count) await once(arrivals, 'request')
    },
    stop,
    restart,
  }
}

function questionOf(request: IncomingMessage) {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://consul')
  const match = /^\/v1\/health\/service\/([^/]+)$/.exec(pathname)
  if (match === null || !searchParams.has('passing')) throw new Error(`unexpected request: ${request.url}`)
  const [, amount = '300', unit = 's'] = /^(\d+)(ms|s|m)$/.exec(searchParams.get('wait') ?? '300s') ?? []
  return {
    name: decodeURIComponent(match[1]!),
    wanted: Number(searchParams.get('index') ?? -1),
    waitMs: Number(amount) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm'],
  }
}

export function respond(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(body)
}
