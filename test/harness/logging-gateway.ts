/** For wire tests of loggers: a gateway whose routes are told about, with secrets planted in whatever may be told. */
import assert from 'node:assert/strict'
import { freePort } from './gateway.ts'
import { type PolicyGateway, policyGateway } from './policy-gateway.ts'

/** In what a caller and an operator keep secret. Neither may show where it was not meant to go. */
export const ofCaller = 'planted-by-the-caller'
export const ofGateway = 'planted-in-the-configuration'

export const base64 = (text: string) => Buffer.from(text).toString('base64')
const query = 'page=2&token='

const sent = {
  method: 'POST',
  headers: {
    authorization: `Bearer ${ofCaller}`,
    cookie: `sid=${ofCaller}`,
    'user-agent': 'tests',
    'x-custom': 'a',
    sw8: `1-${base64('trace')}-${base64('segment')}-3-a-b-c-d`,
  },
  body: 'hello',
}

// biome-ignore lint/suspicious/noExplicitAny: what came is looked into field by field
export type Parsed = any

/** Entries by what became of them. */
export interface Outcomes {
  delivered: number
  failed: number
}

export interface LoggingGateway extends Pick<PolicyGateway, 'received' | 'output' | 'send'> {
  /** Address and port, as entries have them. */
  readonly upstream: string
  /** Sends through the route, and sees that neither the client nor the upstream notices what is told of them. */
  exchange(route: string, more?: { body?: string }): Promise<void>
  /** What became of entries of the policy since before it acted: it waits for the first of them. */
  outcomes(policy: string, act: () => Promise<void>): Promise<Outcomes>
}

export const logRoute = (policy: string, config: object, id = policy) => ({
  id,
  uri: `/${id}`,
  upstream_id: 'u',
  plugins: { [policy]: config },
})

/** Path and query as a log has them. */
export const loggedTarget = (route: string) => `/${route}?${query}***`

/** @param metadata of policies, with their names as `id` */
export async function loggingGateway(
  metadata: object[],
  routes: object[],
  env: Record<string, string> = {},
): Promise<LoggingGateway> {
  const metricsPort = await freePort()
  const gateway = policyGateway(
    () =>
      JSON.stringify({
        gateway: { metrics: { host: '127.0.0.1', port: metricsPort } },
        plugin_metadata: metadata,
        routes: [{ id: 'bare', uri: '/bare', upstream_id: 'u' }, ...routes],
      }),
    (_, response) => {
      response.writeHead(201, { 'set-cookie': `sid=${ofCaller}` }).end('made')
      return true
    },
    env,
  )

  async function counts(policy: string): Promise<Outcomes> {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
    assert.doesNotMatch(text, /planted/)
    const count = (outcome: string) => {
      const series = `sluice_log_entries_total{policy="${policy}",outcome="${outcome}"} `
      const line = text.split('\n').find((one) => one.startsWith(series))
      return Number(line?.slice(series.length) ?? 0)
    }
    return { delivered: count('delivered'), failed: count('failed') }
  }

  return {
    received: gateway.received,
    send: (path, request) => gateway.send(path, request),
    output: () => gateway.output(),
    get upstream() {
      return `127.0.0.1:${gateway.upstreamPort}`
    },
    async exchange(route, more = {}) {
      const request = { ...sent, ...more }
      const target = `/${route}?${query}${ofCaller}`
      const bare = (await gateway.send('/bare', request)).seen!
      const { status, headers, text, seen } = await gateway.send(target, request)
      assert.deepEqual([status, text, headers.get('set-cookie')], [201, 'made', `sid=${ofCaller}`])
      assert.deepEqual([seen!.method, seen!.target, seen!.body.toString()], ['POST', target, request.body])
      // What takes part in a trace adds to it, and nothing else does.
      const fields = seen!.fields.filter(([name]) => !name.startsWith('x-b3-'))
      assert.deepEqual(fields, bare.fields)
    },
    async outcomes(policy, act) {
      const before = await counts(policy)
      await act()
      for (;;) {
        const now = await counts(policy)
        const became = { delivered: now.delivered - before.delivered, failed: now.failed - before.failed }
        if (became.delivered + became.failed > 0) return became
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
  }
}

/** Of the exchange of `exchange`: the usual entry. */
export function assertEntry(entry: Parsed, route: string, upstream: string): void {
  const { request, response, ...facts } = entry
  assert.deepEqual(
    [request.method, request.uri, request.querystring, request.body],
    ['POST', loggedTarget(route), { page: '2', token: '***' }, 'hello'],
  )
  assertHeaders(request.headers, response.headers)
  assert.deepEqual(
    [response.status, facts.route_id, facts.client_ip, facts.upstream],
    [201, route, '127.0.0.1', upstream],
  )
}

export function assertHeaders(request: Parsed, response: Parsed): void {
  assert.deepEqual(
    [request['x-custom'], request.authorization, request.cookie, response['set-cookie']],
    ['a', '***', '***', '***'],
  )
}

/** For the end of a file in which servers failed. */
export function assertDiscreet({ output }: Pick<LoggingGateway, 'output'>): void {
  assert.match(output(), /log entries cannot be delivered/)
  assert.doesNotMatch(output(), /planted|PRIVATE KEY/)
}
