/** Whether something still needs a resource that is to be deleted, in the words of APISIX. */
import type { Configuration } from '../../config/configuration.ts'
import type { ResourceName } from '../../config/uses.ts'

interface Wording {
  /** How the resource is spoken of. */
  what: string
  /** Kinds that are asked, in this order, each with its name. */
  users: readonly (readonly [kind: string, name: string])[]
}

const usersOfCertificates = [
  ['snis', 'sni'],
  ['upstreams', 'upstream'],
  ['services', 'service'],
  ['routes', 'route'],
] as const

const wordings: Readonly<Record<string, Wording>> = {
  upstreams: {
    what: 'upstream',
    users: [
      ['routes', 'route'],
      ['services', 'service'],
      ['plugin_configs', 'plugin_config'],
      ['consumers', 'consumer'],
      ['consumer_groups', 'consumer_group'],
      ['global_rules', 'global_rules'],
      ['stream_routes', 'stream_route'],
    ],
  },
  services: {
    what: 'service directly',
    users: [
      ['routes', 'route'],
      ['stream_routes', 'stream_route'],
    ],
  },
  plugin_configs: { what: 'plugin config', users: [['routes', 'route']] },
  consumer_groups: { what: 'consumer group', users: [['consumers', 'consumer']] },
  certificates: { what: 'certificate', users: usersOfCertificates },
  ca_certificates: { what: 'ca certificate', users: usersOfCertificates },
  protos: {
    what: 'proto',
    users: [
      ['routes', 'route'],
      ['services', 'service'],
    ],
  },
}

/** Undefined: nothing needs it, or nothing can. */
export function useError(kind: string, id: string, configuration: Configuration): string | undefined {
  const name: ResourceName = `${kind}/${id}`
  const users = [...configuration.usersOf(name)]
  if (users.length === 0) return undefined
  if (kind === 'stream_routes') {
    return `can not delete this stream route directly, stream route [${idOf(users[0]!)}] is still using it as superior_id`
  }
  const wording = wordings[kind]
  for (const [userKind, userName] of wording?.users ?? []) {
    const user = users.find((candidate) => candidate.startsWith(`${userKind}/`))
    if (user === undefined) continue
    const { direct } = configuration.usesOf(user)
    const place = kind === 'upstreams' && !direct.includes(name) ? `plugin in ${userName}` : userName
    return `can not delete this ${wording!.what}, ${place} [${idOf(user)}] is still using it now`
  }
  return undefined
}

const idOf = (name: ResourceName) => name.slice(name.indexOf('/') + 1)
