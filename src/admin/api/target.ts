/** What a path of the Admin API names: `/apisix/admin/KIND/ID/PATH...`. */
import { type AdminKind, adminKinds } from './kinds.ts'

export interface Target {
  kind: AdminKind
  /** Absent: the list. Of a secret it is `MANAGER/ID`. */
  id?: string
  /** Below the resource, for PATCH. */
  subPath: string[]
  /** Of a credential. */
  consumer?: string
  /** Of an upstream that belongs to a service, as in API7; and of what a service says of the costs of GraphQL. */
  service?: string
  /** In the store, and without `/apisix` in front. */
  key: string
}

const decorations = 'graphql_cost_decorations'

/** `segments`: of the path, decoded, after `/apisix/admin/`. Undefined: there is no such kind. */
export function readTarget(segments: readonly string[]): Target | undefined {
  const [name = '', id, sub, credential, ...rest] = segments
  if (name === 'consumers' && id !== undefined && sub === 'credentials') {
    const key = `consumers/${id}/credentials`
    return target(adminKinds.get('credentials')!, credential, rest, key, id)
  }
  if (name === 'services' && id !== undefined && (sub === 'upstreams' || sub === decorations)) {
    const folder = `services/${id}/${sub}`
    return { ...target(adminKinds.get(sub)!, credential, rest, folder), service: id }
  }
  // As API7 calls them.
  if (name === 'secret_providers') return readTarget(['secrets', ...segments.slice(1)])
  const kind = adminKinds.get(name)
  if (kind === undefined || name === 'credentials' || name === decorations) return undefined
  if (name === 'secrets') {
    const below = credential === undefined ? [] : [credential, ...rest]
    return target(kind, id === undefined || sub === undefined ? undefined : `${id}/${sub}`, below, name)
  }
  return target(
    kind,
    id,
    [sub, credential, ...rest].filter((part) => part !== undefined),
    name,
  )
}

function target(
  kind: AdminKind,
  id: string | undefined,
  subPath: string[],
  folder: string,
  consumer?: string,
): Target {
  const found = id === undefined || id === '' ? { key: folder } : { id, key: `${folder}/${id}` }
  return { kind, subPath, ...found, ...(consumer !== undefined && { consumer }) }
}
