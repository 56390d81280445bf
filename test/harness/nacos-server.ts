/** A Nacos server as far as instances of services go, in the three versions of its open API, with logins. */
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Closer, listening } from './listening-server.ts'

export interface NacosOptions {
  version?: 'v1' | 'v2' | 'v3'
  /** Whoever asks has to log in. */
  user?: { username: string; password: string }
  /** Seconds. */
  tokenTtl?: number
}

/** An instance as Nacos tells it. */
export function nacosInstance(port: number, more: Record<string, unknown> = {}) {
  return {
    instanceId: `127.0.0.1#${port}#DEFAULT#DEFAULT_GROUP@@users`,
    ip: '127.0.0.1',
    port,
    weight: 1.0,
    healthy: true,
    enabled: true,
    ephemeral: true,
    clusterName: 'DEFAULT',
    serviceName: 'DEFAULT_GROUP@@users',
    metadata: {},
    instanceHeartBeatInterval: 5000,
    ...more,
  }
}

export async function startNacos(t: Closer, { version = 'v1', user, tokenTtl = 18_000 }: NacosOptions = {}) {
  /** By `namespace@@group@@name`. */
  const services = new Map<string, unknown[]>()
  const tokens = new Set<string>()
  /** Method and URL of every request, as it came. */
  const asked: string[] = []
  const bodies: string[] = []
  const arrivals = new EventTarget()
  let logins = 0
  let expected = user
  let broken: ((response: ServerResponse, request: IncomingMessage) => boolean) | undefined

  const login = { v1: '/nacos/v1/auth/login', v2: '/nacos/v1/auth/login', v3: '/nacos/v3/auth/user/login' }[
    version
  ]
  const list = {
    v1: '/nacos/v1/ns/instance/list',
    v2: '/nacos/v2/ns/instance/list',
    v3: '/nacos/v3/client/ns/instance/list',
  }[version]

  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://nacos')
    asked.push(`${request.method} ${request.url}`)
    const body = await text(request)
    bodies.push(body)
    arrivals.dispatchEvent(new Event('request'))
    if (broken?.(response, request) === true) return
    if (request.method === 'POST' && url.pathname === login) return logIn(new URLSearchParams(body), response)
    if (request.method !== 'GET' || url.pathname !== list) return json(response, 404, { status: 404 })
    const token = version === 'v3' ? String(request.headers.accesstoken) : url.searchParams.get('accessToken')
    if (expected !== undefined && !tokens.has(token ?? '')) return refuse(response)
    const {
      namespaceId = 'public',
      groupName = 'DEFAULT_GROUP',
      serviceName = '',
    } = Object.fromEntries(url.searchParams)
    const instances = services.get(`${namespaceId}@@${groupName}@@${serviceName}`)
    const wanted = (instances ?? []).filter(
      (instance) =>
        version === 'v3' ||
        (instance as { healthy?: boolean } | null)?.healthy !== false ||
        url.searchParams.get('healthyOnly') !== 'true',
    )
    const service = { name: `${groupName}@@${serviceName}`, groupName, cacheMillis: 10_000, hosts: wanted }
    if (version === 'v1') json(response, 200, service)
    else if (instances === undefined)
      json(response, 200, { code: 21_008, message: 'service not exist', data: null })
    else json(response, 200, { code: 0, message: 'success', data: version === 'v2' ? service : wanted })
  })

  const logIn = (form: URLSearchParams, response: ServerResponse) => {
    logins++
    const { username, password } = Object.fromEntries(form)
    if (username !== expected?.username || password !== expected?.password) return refuse(response)
    const token = `token-${logins}`
    tokens.add(token)
    json(response, 200, { accessToken: token, tokenTtl, globalAdmin: true })
  }
  const refuse = (response: ServerResponse) => json(response, 403, { status: 403, error: 'Forbidden' })

  const { port, stop, restart } = await listening(t, server)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    asked,
    bodies,
    get logins() {
      return logins
    },
    /** `service` may begin with `namespace@@group@@`. */
    set(service: string, instances: unknown[]) {
      services.set(service.includes('@@') ? service : `public@@DEFAULT_GROUP@@${service}`, instances)
    },
    /** As after a restart of the server: nobody is known any more. */
    forgetTokens() {
      tokens.clear()
    },
    changePassword(password: string) {
      expected = { username: expected?.username ?? '', password }
      tokens.clear()
    },
    breakWith(handler: typeof broken) {
      broken = handler
    },
    async requests(count: number) {
      while (asked.length < count) await once(arrivals, 'request')
    },
    stop,
    restart,
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(value))
}
