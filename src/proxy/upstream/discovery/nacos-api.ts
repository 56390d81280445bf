/** The open API of Nacos in its three versions, as far as it tells instances of services. */
import { createHmac } from 'node:crypto'
import type { NacosSettings } from '../../../config/discovery.ts'
import type { DiscoveredNode } from './discovered-node.ts'
import { type RegistryClient, RegistryError } from './registry-client.ts'

export interface NacosService {
  namespace: string
  group: string
  name: string
}

export interface NacosInstance {
  node: DiscoveredNode
  /** Where it takes gRPC, if it says so. */
  grpcPort: number | undefined
  metadata: Readonly<Record<string, unknown>>
}

export interface NacosAnswer {
  instances: NacosInstance[]
  /** Entries that were left out because something is wrong with them. */
  unusable: number
}

type Version = 'v1' | 'v2' | 'v3'

/** Codes of answers that mean that there is no such service. */
const absent = new Set([20_004, 21_008])
/** Tokens are asked for anew when this much of their life is over. */
const renewAt = 0.9
/** Seconds, of tokens that do not say. */
const unstatedTokenLife = 600
/** Whole numbers for weights such as 0.25. */
const fractions = 100
/** Nacos itself takes weights up to 10 000. */
const heaviest = 10_000

/** One server of a cluster. */
export class NacosServer {
  /** Without the user. */
  readonly url: string
  readonly #client: RegistryClient
  readonly #settings: NacosSettings
  readonly #version: Version
  readonly #base: string
  readonly #user: { username: string; password: string } | undefined
  #token: { value: string; until: number } | undefined
  #login: Promise<void> | undefined

  constructor(host: string, settings: NacosSettings, client: RegistryClient) {
    // The password may have any character, so that the last @ counts.
    const at = host.lastIndexOf('@')
    const scheme = host.slice(0, host.indexOf('://') + 3)
    const [username = '', ...password] = at < 0 ? [] : host.slice(scheme.length, at).split(':')
    this.url = at < 0 ? host : scheme + host.slice(at + 1)
    this.#client = client
    this.#settings = settings
    const { prefix } = settings
    this.#base = this.url + (prefix.startsWith('/') ? '' : '/') + prefix + (prefix.endsWith('/') ? '' : '/')
    this.#version = (/\/(v[123])\/?$/.exec(prefix)?.[1] as Version | undefined) ?? 'v1'
    if (at >= 0) this.#user = { username, password: password.join(':') }
    else if (settings.username !== undefined) {
      this.#user = { username: settings.username, password: settings.password ?? '' }
    }
  }

  /** The healthy instances of a service; none where it does not exist. */
  async instances(service: NacosService, signal: AbortSignal): Promise<NacosAnswer> {
    await this.#authenticate()
    const token = this.#token
    let answer = await this.#list(service, signal)
    if (token !== undefined && (answer.status === 401 || answer.status === 403)) {
      // A server that was set up anew does not know its tokens. Another service may have got a new one meanwhile.
      if (this.#token === token) this.#token = undefined
      await this.#authenticate()
      answer = await this.#list(service, signal)
    }
    const { status, value } = answer
    const { code, data } = mapOf(value)
    if (typeof code === 'number' && absent.has(code)) return { instances: [], unusable: 0 }
    if (status !== 200) throw new RegistryError(`status ${status}`)
    if (this.#version !== 'v1' && code !== 0) throw new RegistryError(`code ${code}`)
    const list = this.#version === 'v3' ? data : mapOf(this.#version === 'v2' ? data : value).hosts
    if (!Array.isArray(list)) throw new RegistryError('an answer that has no instances')
    return readInstances(list, this.#settings.weight, this.#version === 'v3')
  }

  #list({ namespace, group, name }: NacosService, signal: AbortSignal) {
    const query = new URLSearchParams({
      healthyOnly: 'true',
      serviceName: name,
      namespaceId: namespace,
      groupName: group,
      ...signatureOf(this.#settings, `${group}@@${name}`),
    })
    const headers: Record<string, string> = {}
    if (this.#token !== undefined && this.#version === 'v3') headers.accessToken = this.#token.value
    else if (this.#token !== undefined) query.set('accessToken', this.#token.value)
    const path = this.#version === 'v3' ? 'client/ns/instance/list' : 'ns/instance/list'
    const { send, read } = this.#settings.timeout
    return this.#client.json({ url: `${this.#base}${path}?${query}`, headers, timeout: send + read, signal })
  }

  /** Several services share one login, which is not over when one of them is not followed any more. */
  async #authenticate(): Promise<void> {
    if (this.#user === undefined) return
    if (this.#token !== undefined && performance.now() < this.#token.until) return
    this.#login ??= this.#logIn().finally(() => {
      this.#login = undefined
    })
    await this.#login
  }

  async #logIn(): Promise<void> {
    const { send, read } = this.#settings.timeout
    const { status, value } = await this.#client.json({
      url: this.#loginUrl(),
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(this.#user).toString(),
      timeout: send + read,
      signal: new AbortController().signal,
    })
    if (status !== 200) throw new RegistryError(`status ${status} for the login`)
    const { accessToken: token, tokenTtl } = mapOf(value)
    if (typeof token !== 'string' || token === '') throw new RegistryError('a login without a token')
    const seconds = typeof tokenTtl === 'number' && tokenTtl > 0 ? tokenTtl : unstatedTokenLife
    this.#token = { value: token, until: performance.now() + seconds * 1000 * renewAt }
  }

  /** The second version of the API has no login of its own. */
  #loginUrl(): string {
    if (this.#version === 'v3') return `${this.#base}auth/user/login`
    return `${this.#base.replace(/v2\/$/, 'v1/')}auth/login`
  }
}

/** As Alibaba Cloud checks it for its hosted Nacos. */
function signatureOf({ access_key: key, secret_key: secret }: NacosSettings, what: string) {
  if (!key || !secret) return {}
  const data = `${Date.now()}@@${what}`
  return { ak: key, data, signature: createHmac('sha1', secret).update(data).digest('base64') }
}

/** `all`: also those that are not healthy are told, and left out here. */
function readInstances(list: readonly unknown[], weight: number, all: boolean): NacosAnswer {
  const offered = list
    .map(mapOf)
    .filter(({ enabled, healthy }) => enabled !== false && !(all && healthy === false))
  const instances = offered.flatMap((entry) => instanceOf(entry, weight) ?? [])
  if (instances.some(({ node }) => !Number.isInteger(node.weight))) {
    for (const { node } of instances) {
      node.weight = node.weight === 0 ? 0 : Math.max(1, Math.round(node.weight * fractions))
    }
  }
  // Nacos tells them in any order.
  instances.sort(({ node: a }, { node: b }) =>
    a.host === b.host ? (a.port ?? 0) - (b.port ?? 0) : a.host < b.host ? -1 : 1,
  )
  return { instances, unusable: offered.length - instances.length }
}

function instanceOf(entry: Record<string, unknown>, byDefault: number): NacosInstance | undefined {
  const { ip, port, metadata } = entry
  const weight = entry.weight ?? byDefault
  if (typeof ip !== 'string' || ip === '' || !isPort(port)) return undefined
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= heaviest)) return undefined
  const grpcPort = Number(mapOf(metadata).gRPC_port)
  return {
    node: { host: ip, port, weight },
    grpcPort: isPort(grpcPort) ? grpcPort : undefined,
    metadata: mapOf(metadata),
  }
}

const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
