/** Resources as policies, upstreams and run-time state know their owners: `route:1` is the route 1. */
import type { ResourceKind } from './plan.ts'

const nouns = {
  routes: 'route',
  stream_routes: 'stream_route',
  services: 'service',
  upstreams: 'upstream',
  plugin_configs: 'plugin_config',
  consumer_groups: 'consumer_group',
  consumers: 'consumer',
  global_rules: 'global_rule',
} as const satisfies Partial<Record<ResourceKind, string>>

/** Kinds of resource that can own something. */
export type OwningKind = keyof typeof nouns

export const owningKinds = Object.keys(nouns) as OwningKind[]

export const isOwningKind = (kind: string): kind is OwningKind => Object.hasOwn(nouns, kind)

export const ownerNoun = (kind: OwningKind): string => nouns[kind]

/** Undefined for what is none. */
export function resourceOfOwner(owner: string): { kind: OwningKind; id: string } | undefined {
  const colon = owner.indexOf(':')
  const kind = owningKinds.find((candidate) => nouns[candidate] === owner.slice(0, colon))
  return kind === undefined ? undefined : { kind, id: owner.slice(colon + 1) }
}
