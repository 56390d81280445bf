/** What Kubernetes says about the endpoints of services, as far as it matters here. */
import type { DiscoveredNode } from './discovered-node.ts'

/** One EndpointSlice, or one Endpoints object. A service may have several slices. */
export interface EndpointSet {
  /** Of the object, unique in its namespace. */
  name: string
  service: string
  /** By the name of their port; its number where it has none. */
  nodes: ReadonlyMap<string, readonly DiscoveredNode[]>
}

export type WatchEvent =
  | { type: 'put'; set: EndpointSet; version: string }
  | { type: 'remove'; name: string; version: string }
  | { type: 'bookmark'; version: string }
  | { type: 'error'; code: number }

export interface ResourceKind {
  /** Below the API server. */
  path: (namespace: string) => string
  listKind: string
  /** Undefined when the object is of no use. */
  read: (object: Record<string, unknown>, weight: number) => EndpointSet | undefined
}

const serviceLabel = 'kubernetes.io/service-name'

export const endpoints: ResourceKind = {
  path: (namespace) => `/api/v1/namespaces/${namespace}/endpoints`,
  listKind: 'EndpointsList',
  read(object, weight) {
    const { name } = map(object.metadata)
    if (typeof name !== 'string') return undefined
    const nodes = new Map<string, DiscoveredNode[]>()
    for (const { addresses, ports } of list(object.subsets).map(map)) {
      const hosts = list(addresses).map((address) => map(address).ip)
      for (const port of list(ports).map(map)) addNodes(nodes, [portName(port)], hosts, port.port, weight)
    }
    return { name, service: name, nodes }
  },
}

export const endpointSlices: ResourceKind = {
  path: (namespace) => `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
  listKind: 'EndpointSliceList',
  read(object, weight) {
    const { name, labels } = map(object.metadata)
    const service = map(labels)[serviceLabel]
    if (typeof name !== 'string' || typeof service !== 'string') return undefined
    const nodes = new Map<string, DiscoveredNode[]>()
    // Without a condition, an endpoint counts as ready (Kubernetes API, EndpointConditions).
    const ready = list(object.endpoints)
      .map(map)
      .filter(({ conditions }) => map(conditions).ready !== false)
    const hosts = ready.flatMap(({ addresses }) => list(addresses))
    for (const port of list(object.ports).map(map)) {
      // A port without a name has an empty one here; both this and its number lead to it.
      const names = port.name === '' ? ['', portName(port)] : [portName(port)]
      addNodes(nodes, names, hosts, port.port, weight)
    }
    return { name, service, nodes }
  },
}

function portName({ name, targetPort, port }: Record<string, unknown>): string {
  return String(name || (targetPort ?? port))
}

function addNodes(
  nodes: Map<string, DiscoveredNode[]>,
  names: readonly string[],
  hosts: readonly unknown[],
  port: unknown,
  weight: number,
): void {
  if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535) return
  const found = hosts.flatMap((host) =>
    typeof host === 'string' && host !== '' ? [{ host, port: port as number, weight }] : [],
  )
  for (const name of names) nodes.set(name, [...(nodes.get(name) ?? []), ...found])
}

/** A label selector for the slices of these services. */
export const selectServices = (services: readonly string[]): string =>
  `${serviceLabel} in (${services.join(',')})`

/** One page of a list; undefined when it is none of that kind. */
export function readList(value: unknown, kind: ResourceKind, weight: number) {
  const { kind: listKind, metadata, items } = map(value)
  const { resourceVersion, continue: next } = map(metadata)
  if (listKind !== kind.listKind || typeof resourceVersion !== 'string') return undefined
  const sets = list(items).map((item) => kind.read(map(item), weight))
  return {
    sets: sets.filter((set) => set !== undefined),
    version: resourceVersion,
    next: typeof next === 'string' && next !== '' ? next : undefined,
  }
}

/** One line of a watch; undefined when it is no event. Objects that are of no use count as bookmarks. */
export function readEvent(line: string, kind: ResourceKind, weight: number): WatchEvent | undefined {
  let event: unknown
  try {
    event = JSON.parse(line)
  } catch {
    return undefined
  }
  const { type, object } = map(event)
  if (type === 'ERROR') {
    const { code } = map(object)
    return { type: 'error', code: typeof code === 'number' ? code : 0 }
  }
  const { resourceVersion: version, name } = map(map(object).metadata)
  if (typeof version !== 'string') return undefined
  switch (type) {
    case 'ADDED':
    case 'MODIFIED': {
      const set = kind.read(map(object), weight)
      return set === undefined ? { type: 'bookmark', version } : { type: 'put', set, version }
    }
    case 'DELETED':
      return typeof name === 'string' ? { type: 'remove', name, version } : undefined
    case 'BOOKMARK':
      return { type: 'bookmark', version }
    default:
      return undefined
  }
}

function map(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
