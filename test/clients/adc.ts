/**
 * What ADC (api7/adc) asks of an Admin API, written from the requests that it was seen to send: one client for each of
 * its backends. It compares what it wants with what is there, sends what differs, and nothing when nothing does.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { AdminGateway } from '../admin/gateway.ts'

type Value = Record<string, unknown>
type Admin = AdminGateway['admin']

/** Resources by their paths in the Admin API, in the order in which they may be created: a user after what it uses. */
export type Wanted = ReadonlyMap<string, Value>

export interface Change {
  method: 'PUT' | 'DELETE'
  path: string
  body?: Value
}

/** Of the gateway, as ADC takes it from `Server`; one that names no version is taken for the newest. */
export async function apisixVersion(admin: Admin, method: 'GET' | 'HEAD', path: string): Promise<string> {
  const { headers } = await admin(method, path)
  return /APISIX\/(.*)/.exec(headers.get('server') ?? '')?.[1] ?? '999.999.999'
}

/** Backend `apisix`: lists, and one request for each resource that differs. */
export class AdcOfResources {
  readonly #admin: Admin

  constructor(admin: Admin) {
    this.#admin = admin
  }

  /** Everything, without what the server adds. A consumer's credentials are asked for one consumer at a time. */
  async dump(): Promise<Map<string, Value>> {
    const kinds = ['services', 'routes', 'upstreams', 'ssls', 'consumers', 'plugin_configs'].concat([
      'global_rules',
      'plugin_metadata',
      'stream_routes',
    ])
    const found = (await Promise.all(kinds.map((kind) => this.#list(`/${kind}`)))).flat()
    const consumers = found.filter(([path]) => path.startsWith('/consumers/'))
    const credentials = consumers.map(([path]) => this.#list(`${path}/credentials`))
    return new Map([...found, ...(await Promise.all(credentials)).flat()])
  }

  async diff(wanted: Wanted): Promise<Change[]> {
    const held = await this.dump()
    // Removed in the reverse of the order in which it was made, so that nothing that is in use is removed.
    const order = ['credentials', 'stream_routes', 'routes', 'services', 'upstreams', '']
    const rank = (path: string) => order.findIndex((kind) => path.includes(kind))
    const gone = [...held.keys()].filter((path) => !wanted.has(path)).sort((a, b) => rank(a) - rank(b))
    const changed = [...wanted].filter(([path, value]) => !isDeepStrictEqual(held.get(path), value))
    return [
      ...gone.map((path): Change => ({ method: 'DELETE', path })),
      ...changed.map(([path, body]): Change => ({ method: 'PUT', path, body })),
    ]
  }

  async sync(wanted: Wanted): Promise<Change[]> {
    const changes = await this.diff(wanted)
    for (const { method, path, body } of changes) {
      const { status, text } = await this.#admin(method, path, body)
      if (status > 201) throw new Error(`${method} ${path}: ${status} ${text}`)
    }
    return changes
  }

  async #list(path: string): Promise<[path: string, value: Value][]> {
    const { status, body } = await this.#admin('GET', path)
    if (status === 404) return []
    if (status !== 200 || !Array.isArray(body.list)) throw new Error(`GET ${path}: ${status}`)
    return body.list.map(({ key, value }: { key: string; value: Value }) => {
      const { create_time: _, update_time: __, id: ___, ...rest } = value
      return [key.replace('/apisix', ''), rest]
    })
  }
}

const sections = ['routes', 'services', 'upstreams', 'ssls', 'consumers', 'global_rules'].concat([
  'plugin_metadata',
  'stream_routes',
])

/** Backend `apisix-standalone`: the whole document at once, with a version for each section that changed. */
export class AdcOfDocument {
  readonly #admin: Admin
  /** Epoch milliseconds, which are the versions of what is sent. */
  readonly #now: () => number

  constructor(admin: Admin, now: () => number) {
    this.#admin = admin
    this.#now = now
  }

  /** Sections by name. What the server says of itself stays in. */
  async dump(): Promise<Value> {
    const last = await this.#admin('HEAD', '/configs')
    if (last.status !== 200) throw new Error(`HEAD /configs: ${last.status}`)
    return (await this.#admin('GET', '/configs')).body
  }

  /** The sections that differ. `modifiedIndex` is written when a resource changes, and not compared. */
  async diff(wanted: Value): Promise<string[]> {
    const held = await this.dump()
    const plain = (list: unknown) => ((list ?? []) as Value[]).map(({ modifiedIndex: _, ...value }) => value)
    return sections.filter((section) => !isDeepStrictEqual(plain(held[section]), plain(wanted[section])))
  }

  /** @returns the status of the answer and the sections that were changed */
  async sync(wanted: Value): Promise<{ status: number; changed: string[] }> {
    const { 'X-Last-Modified': _, 'X-Digest': __, ...document } = await this.dump()
    const changed = await this.diff(wanted)
    const version = this.#now()
    for (const section of changed) {
      const values = (wanted[section] ?? []) as Value[]
      document[section] = values.map((value) => ({ ...value, modifiedIndex: version }))
      document[`${section}_conf_version`] = version
    }
    const digest = createHash('sha1').update(JSON.stringify(document)).digest('hex')
    const { status, text } = await this.#admin('PUT', '/configs', document, { 'x-digest': digest })
    if (status > 204) throw new Error(`PUT /configs: ${status} ${text}`)
    return { status, changed }
  }
}
