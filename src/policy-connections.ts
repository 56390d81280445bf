/** Connections of one policy binding to other services: straight, or through a proxy for those that it names. */
import type { Dispatcher } from 'undici'
import type { CallOptions, CallProxies } from './policies/kit/calls.ts'

const connectionsPerService = 64

export class PolicyConnections {
  readonly #options: CallOptions
  readonly #bypassed: ReadonlySet<string>
  /** By the proxy; the empty string: none. */
  readonly #opened = new Map<string, Promise<Dispatcher>>()

  constructor(options: CallOptions) {
    this.#options = options
    this.#bypassed = hostsOf(options.proxies?.except)
  }

  to(url: string): Promise<Dispatcher> {
    const { protocol, hostname } = new URL(url)
    const proxy = this.#bypasses(hostname)
      ? undefined
      : this.#options.proxies?.[protocol === 'https:' ? 'https' : 'http']
    const place = proxy === undefined ? '' : protocol
    let opened = this.#opened.get(place)
    if (opened === undefined) {
      opened = this.#open(proxy)
      this.#opened.set(place, opened)
    }
    return opened
  }

  /** Calls that are under way end as they would have. */
  close(): void {
    for (const opened of this.#opened.values()) opened.then((agent) => agent.close()).catch(() => {})
  }

  /** A host, and all that are under it. */
  #bypasses(hostname: string): boolean {
    if (this.#bypassed.size === 0) return false
    if (this.#bypassed.has('*')) return true
    for (let host = hostname; ; ) {
      if (this.#bypassed.has(host)) return true
      const point = host.indexOf('.')
      if (point < 0) return false
      host = host.slice(point + 1)
    }
  }

  async #open(proxy: CallProxies['http']): Promise<Dispatcher> {
    const { Agent, ProxyAgent } = await import('undici')
    const { timeout, verify = true, keepAlive = true, keepAliveTimeout = 60_000 } = this.#options
    const tls = { timeout, rejectUnauthorized: verify }
    const common = {
      connections: connectionsPerService,
      pipelining: keepAlive ? 1 : 0,
      keepAliveTimeout,
    }
    if (proxy === undefined) return new Agent({ ...common, connect: tls })
    return new ProxyAgent({
      ...common,
      uri: proxy.url,
      ...(proxy.authorization !== undefined && { token: proxy.authorization }),
      // Without TLS the proxy is asked for the whole URL (RFC 9112 3.2.2), as many allow CONNECT for port 443 only.
      proxyTunnel: false,
      requestTls: tls,
      proxyTls: tls,
    })
  }
}

function hostsOf(list = ''): ReadonlySet<string> {
  const hosts = list.split(',').map((host) => host.trim().toLowerCase().replace(/^\./, ''))
  return new Set(hosts.filter((host) => host !== ''))
}
