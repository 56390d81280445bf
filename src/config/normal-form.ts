/**
 * Checked resources in one form, whichever way they were written: what may be said in two ways is said in one, defaults
 * are there, and what has no order has a fixed one. Two resources that mean the same are equal in it.
 */
import { parseAddress } from './normalise.ts'
import type { PluginMeta, Plugins, ResourceKind } from './plan.ts'
import type { PathSegment } from './problem.ts'

type Fields = Record<string, unknown>

/** Fields whose lists are sets. */
export const setFields: ReadonlySet<string> = new Set(['uris', 'hosts', 'methods', 'remote_addrs'])

/** Of an input that was checked, so that the defaults of its schema are in it. The input is not changed. */
export function normalForm(kind: ResourceKind, input: object): Fields {
  const { id: _, create_time: _created, update_time: _updated, ...fields } = input as Fields
  switch (kind) {
    case 'routes':
      return tidy(route(fields))
    case 'stream_routes':
    case 'services':
      return tidy(withUpstream(fields))
    case 'upstreams':
      return tidy(upstream(fields))
    case 'consumers':
      return tidy(consumer(fields))
    default:
      return tidy(fields)
  }
}

/** The other names that a field of a normal form may have been written under, by the field. */
export const writtenAs: Readonly<Record<string, readonly string[]>> = {
  uris: ['uri', 'paths'],
  hosts: ['host'],
  remote_addrs: ['remote_addr'],
}

function route(fields: Fields): Fields {
  const { uri, paths, host, remote_addr, ...rest } = fields
  const { uris = paths ?? listOf(uri), hosts = listOf(host), remote_addrs = listOf(remote_addr) } = fields
  const webSocket = fields.enable_websocket ?? (fields.service_id === undefined ? false : undefined)
  return withUpstream({
    ...rest,
    uris,
    hosts: (hosts as string[] | undefined)?.map((name) => name.toLowerCase()),
    remote_addrs,
    enable_websocket: webSocket,
  })
}

function listOf(value: unknown): unknown[] | undefined {
  return value === undefined ? undefined : [value]
}

function withUpstream(fields: Fields): Fields {
  const { upstream: inline } = fields
  return inline === undefined ? fields : { ...fields, upstream: tidy(upstream(inline as Fields)) }
}

function upstream({ id: _, ...fields }: Fields): Fields {
  const { nodes, timeout = { connect: 60, send: 60, read: 60 } } = fields
  return { ...fields, timeout, ...(nodes !== undefined && { nodes: nodesByAddress(nodes) }) }
}

/** Nodes by `host:port`, so that their order and the way they were written say nothing. */
function nodesByAddress(nodes: unknown): Fields {
  const byAddress: Fields = {}
  for (const { address, node } of nodeEntries(nodes)) {
    // A node that is there twice takes part twice.
    let name = address
    for (let count = 2; Object.hasOwn(byAddress, name); count++) name = `${address} (${count})`
    byAddress[name] = node
  }
  return byAddress
}

/** A node, whichever way it was written. */
interface NodeEntry {
  host: string
  port: number
  /** `host:port`. */
  address: string
  /** The last segment of the path at which it was written. */
  at: PathSegment
  /** Its other fields. */
  node: Fields
}

export function nodeEntries(nodes: unknown): NodeEntry[] {
  if (Array.isArray(nodes)) {
    return nodes.map(({ host: written, port = 80, priority = 0, ...rest }, at) => {
      const host = String(written).replace(/^\[|\]$/g, '')
      return { host, port, address: addressOf(host, port), at, node: { priority, ...rest } }
    })
  }
  return Object.entries((nodes ?? {}) as Fields).map(([at, weight]) => {
    const { host, port } = parseAddress(at) ?? { host: at, port: 80 }
    return { host, port, address: addressOf(host, port), at, node: { priority: 0, weight } }
  })
}

const addressOf = (host: string, port: number) =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

function consumer({ username: _, ...fields }: Fields): Fields {
  const credentials = (fields.credentials ?? []) as Fields[]
  const byId = credentials.map((credential, index) => [
    String(credential.id ?? `arr_${index + 1}`),
    normalForm('plugin_configs', credential),
  ])
  return { ...fields, credentials: Object.fromEntries(byId) }
}

/** Without what says nothing: absent fields, empty lists and maps, and envelopes of policies that say the default. */
function tidy(fields: Fields): Fields {
  const result: Fields = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || isEmpty(value)) continue
    if (name === 'plugins') result[name] = plugins(value as Plugins)
    else if (name.endsWith('_id')) result[name] = String(value)
    else if (setFields.has(name)) result[name] = [...(value as unknown[])].sort()
    else result[name] = value
  }
  return result
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

function plugins(bindings: Plugins): Fields {
  return Object.fromEntries(
    Object.entries(bindings).map(([name, { _meta, ...config }]) => {
      const meta = envelope(_meta ?? {})
      return [name, isEmpty(meta) ? config : { ...config, _meta: meta }]
    }),
  )
}

function envelope(meta: PluginMeta): Fields {
  const says = Object.entries(meta).filter(([name, value]) => {
    if (name === 'disable') return value !== false
    if (name === 'mode') return value !== 'enforce'
    if (name === 'on_error') return value !== 'fail'
    return value !== undefined
  })
  return Object.fromEntries(says)
}
