/** What Consul says about a service at `/v1/health/service/:service`. */
import type { ConsulSettings } from '../../../config/discovery.ts'
import type { DiscoveredNode } from './discovered-node.ts'

export interface Instance {
  node: DiscoveredNode
  metadata: Readonly<Record<string, unknown>>
}

/** Instances that were registered without a port, as in APISIX. */
const standardPort = 80

/** Undefined when it is no list. Entries that are of no use are left out and counted. */
export function readInstances(
  value: unknown,
  weight: number,
): { instances: Instance[]; unusable: number } | undefined {
  if (!Array.isArray(value)) return undefined
  const instances = value
    .map((entry) => instanceOf(entry, weight))
    .filter((instance) => instance !== undefined)
  return { instances, unusable: value.length - instances.length }
}

function instanceOf(entry: unknown, weight: number): Instance | undefined {
  const { Node: node, Service: service } = mapOf(entry)
  if (typeof service !== 'object' || service === null) return undefined
  const { Address: address, Port: port, Meta: metadata } = mapOf(service)
  // An instance without an address of its own is where its agent is.
  const host = address === '' || address === undefined ? mapOf(node).Address : address
  const number = port || standardPort
  if (typeof host !== 'string' || host === '') return undefined
  if (!Number.isInteger(number) || (number as number) < 1 || (number as number) > 65_535) return undefined
  return { node: { host, port: number as number, weight }, metadata: mapOf(metadata) }
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** Changes the list. */
export function sortInstances(instances: Instance[], by: ConsulSettings['sort_type']): void {
  const byHost = (a: Instance, b: Instance) => compare(a.node.host, b.node.host)
  const byPort = (a: Instance, b: Instance) => compare(a.node.port ?? 0, b.node.port ?? 0)
  if (by === 'host_sort') instances.sort(byHost)
  else if (by === 'port_sort') instances.sort(byPort)
  else if (by === 'combine_sort') instances.sort((a, b) => byHost(a, b) || byPort(a, b))
}

function compare<T extends string | number>(a: T, b: T): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
