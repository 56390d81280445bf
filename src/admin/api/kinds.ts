/** The kinds of resource that the Admin API knows, with what is special about each. */
import type { ResourceKind } from '../../config/plan.ts'

export type Verb = 'get' | 'put' | 'post' | 'patch' | 'delete'

export interface AdminKind {
  /** In paths and keys. */
  name: string
  /** In messages. */
  noun: string
  /** The kind of the plan that it becomes; absent: it is kept, and what comes of it is not a resource of its own. */
  plan?: ResourceKind
  /** What identifies it: an id, or a field of its own that is the id. */
  identity: 'id' | 'username' | 'plugin'
  refused: readonly Verb[]
}

const kind = (
  name: string,
  noun: string,
  refused: readonly Verb[] = [],
  more: Partial<AdminKind> = {},
): AdminKind => ({ name, noun, identity: 'id', refused, ...more })

export const adminKinds: ReadonlyMap<string, AdminKind> = new Map(
  [
    kind('routes', 'route', [], { plan: 'routes' }),
    kind('services', 'service', [], { plan: 'services' }),
    kind('upstreams', 'upstream', [], { plan: 'upstreams' }),
    kind('consumers', 'consumer', ['post', 'patch'], { plan: 'consumers', identity: 'username' }),
    kind('credentials', 'credential', ['post', 'patch']),
    kind('graphql_cost_decorations', 'graphql cost decoration'),
    kind('global_rules', 'global rule', ['post'], { plan: 'global_rules' }),
    kind('plugin_configs', 'plugin config', ['post'], { plan: 'plugin_configs' }),
    kind('plugin_metadata', 'plugin_metadata', ['post', 'patch'], {
      plan: 'plugin_metadata',
      identity: 'plugin',
    }),
    kind('consumer_groups', 'consumer group', ['post'], { plan: 'consumer_groups' }),
    kind('secrets', 'secret', ['post'], { plan: 'secrets' }),
    kind('ssls', 'ssl', [], { plan: 'ssls' }),
    kind('certificates', 'certificate'),
    kind('ca_certificates', 'ca certificate'),
    kind('snis', 'sni'),
    kind('protos', 'proto', ['patch'], { plan: 'protos' }),
    kind('stream_routes', 'stream route', ['patch'], { plan: 'stream_routes' }),
    kind('contracts', 'contract', [], { plan: 'contracts' }),
  ].map((one) => [one.name, one]),
)
