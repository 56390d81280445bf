/**
 * The resources that are configured, as APISIX's Control API shows them: with their defaults, nodes as a list, and
 * secrets replaced.
 */
import { isIP } from 'node:net'
import { apisixSchema } from '../config/apisix-schema.ts'
import type { Configuration } from '../config/configuration.ts'
import { equal } from '../config/copy.ts'
import { nodeEntries } from '../config/normal-form.ts'
import type { Plugins, ResourceKind } from '../config/plan.ts'
import type { Catalogue, PolicySchema } from '../config/policy-check.ts'
import type { SecretFields } from '../config/secret-fields.ts'
import type { DiscoveredNode } from '../proxy/upstream/discovery/discovered-node.ts'
import { type AdminRequest, type Endpoint, type Endpoints, emptyAsLua, json } from './server.ts'

/** Where the resources come from; asked at each request. */
export interface ResourceSource {
  configuration(): Configuration
  /** What the store of the Admin API knows of a resource; undefined when it is written in a file. */
  stored(kind: ResourceKind, id: string): { created: number; modified: number; value: string } | undefined
  /** Of the plan in use. */
  version(): number
  /** Of the resource's upstream, where a registry knows them. */
  discoveredNodes(
    kind: 'routes' | 'services' | 'upstreams',
    id: string,
  ): readonly DiscoveredNode[] | undefined
}

/** The metadata of policies are listed in the order in which these run. */
export function resourceEndpoints(
  source: ResourceSource,
  secrets: SecretFields,
  catalogue: Catalogue,
): Endpoints {
  const view = new ResourceView(source, secrets, catalogue)
  const priority = (name: string) => catalogue.get(name)?.priority ?? 0
  const one = (kind: ViewedKind, noun: string) => (request: AdminRequest) => {
    const [id = ''] = request.rest.split('/')
    const item = view.item(kind, id)
    return item === undefined ? json(404, { error_msg: `${noun}[${id}] not found` }) : json(200, item)
  }
  const list = (items: readonly Fields[]) => json(200, emptyAsLua(items))
  const all =
    (kind: ViewedKind): Endpoint =>
    () =>
      list(view.items(kind))
  return {
    'GET /v1/routes': all('routes'),
    'GET /v1/route/*': one('routes', 'route'),
    'GET /v1/services': all('services'),
    'GET /v1/service/*': one('services', 'service'),
    'GET /v1/upstreams': all('upstreams'),
    'GET /v1/upstream/*': one('upstreams', 'upstream'),
    'GET /v1/plugin_metadatas': () =>
      list(view.metadata().sort((a, b) => priority(String(b.id)) - priority(String(a.id)))),
    'GET /v1/plugin_metadata/*': ({ rest }) => {
      const [name = ''] = rest.split('/')
      const metadata = view.metadataOf(name)
      return metadata === undefined
        ? json(404, { error_msg: `plugin metadata[${name}] not found` })
        : json(200, metadata)
    },
  }
}

type ViewedKind = 'routes' | 'services' | 'upstreams'
type Fields = Record<string, unknown>

class ResourceView {
  readonly #source: ResourceSource
  readonly #secrets: SecretFields
  readonly #catalogue: Catalogue

  constructor(source: ResourceSource, secrets: SecretFields, catalogue: Catalogue) {
    this.#source = source
    this.#secrets = secrets
    this.#catalogue = catalogue
  }

  items(kind: ViewedKind): Fields[] {
    return [...this.#source.configuration().entries(kind)].map(([id]) => this.item(kind, id)!)
  }

  item(kind: ViewedKind, id: string): Fields | undefined {
    const input = this.#source.configuration().get(kind, id)
    if (input === undefined) return undefined
    const stored = this.#source.stored(kind, id)
    const version = this.#source.version()
    const written = withNodes(
      { ...input, ...times(stored?.value), id },
      this.#source.discoveredNodes(kind, id),
    )
    const value = this.#secrets.redact({ kind, id }, runTimeValue(written, this.#catalogue))
    return {
      key: stored === undefined ? `/${kind}/${id}` : `/apisix/${kind}/${id}`,
      value,
      has_domain: hasDomain(value as Fields),
      createdIndex: stored?.created ?? version,
      modifiedIndex: stored?.modified ?? version,
    }
  }

  metadata(): Fields[] {
    return [...this.#source.configuration().entries('plugin_metadata')].map(([id]) => this.metadataOf(id)!)
  }

  metadataOf(id: string): Fields | undefined {
    const input = this.#source.configuration().get('plugin_metadata', id)
    if (input === undefined) return undefined
    return this.#secrets.redact({ kind: 'plugin_metadata', id }, { ...input, id }) as Fields
  }
}

/** The Admin API keeps them beside what the check looks at. */
function times(value: string | undefined): Fields {
  const { create_time, update_time } = (value === undefined ? {} : JSON.parse(value)) as Fields
  return {
    ...(create_time !== undefined && { create_time }),
    ...(update_time !== undefined && { update_time }),
  }
}

/** What a registry knows stands where nodes are configured otherwise. */
function withNodes(fields: Fields, nodes: readonly DiscoveredNode[] | undefined): Fields {
  if (nodes === undefined) return fields
  const { upstream } = fields
  return upstream === undefined ? { ...fields, nodes } : { ...fields, upstream: { ...upstream, nodes } }
}

/** Defaults of ours that APISIX does not fill in: what says them says nothing. */
const unfilled: readonly (readonly [field: string, value: unknown])[] = [
  ['keepalive_pool', { size: 320, idle_timeout: 60, requests: 1000 }],
  ['retry_timeout', 0],
  ['slow_start', 0],
  ['panic_threshold', 0],
]

const without = (fields: Fields, defaults: readonly (readonly [field: string, value: unknown])[]): Fields =>
  Object.fromEntries(
    Object.entries(fields).filter(
      ([name, value]) => !defaults.some(([field, byDefault]) => field === name && equal(value, byDefault)),
    ),
  )

function runTimeValue(fields: Fields, catalogue: Catalogue): Fields {
  const { upstream, nodes, plugins } = fields
  return {
    ...without(fields, unfilled),
    ...(upstream !== undefined && { upstream: runTimeValue(upstream as Fields, catalogue) }),
    ...(nodes !== undefined && { nodes: nodeList(nodes) }),
    ...(plugins !== undefined && { plugins: runTimePlugins(plugins as Plugins, catalogue) }),
  }
}

/** A map of nodes becomes a list; a list stays as it is. */
function nodeList(nodes: unknown): unknown {
  if (Array.isArray(nodes)) return nodes
  return nodeEntries(nodes).map(({ host, port, node }) => ({ host, port, weight: node.weight }))
}

/** APISIX's check puts an empty envelope where none is. */
function runTimePlugins(plugins: Plugins, catalogue: Catalogue): Fields {
  return Object.fromEntries(
    Object.entries(plugins).map(([name, config]) => [
      name,
      { ...without(config, unfilledIn(catalogue.get(name))), _meta: config._meta ?? {} },
    ]),
  )
}

/** Defaults of fields that APISIX's policy of the name does not have. */
function unfilledIn(policy: PolicySchema | undefined): [field: string, value: unknown][] {
  if (policy === undefined) return []
  const known = fieldNames(apisixSchema(policy.configSchema))
  return Object.entries(policy.configSchema.properties)
    .filter(([name]) => !known.has(name))
    .map(([name, schema]) => [name, (schema as { default?: unknown }).default])
}

/** Also of fields that there are in some cases only. */
function fieldNames(schema: unknown, names = new Set<string>()): Set<string> {
  if (typeof schema !== 'object' || schema === null) return names
  const { properties, ...others } = schema as { properties?: object }
  for (const name in properties) names.add(name)
  for (const inner of Object.values(others)) fieldNames(inner, names)
  return names
}

function hasDomain({ upstream, nodes }: Fields): boolean {
  if (upstream !== undefined) return hasDomain(upstream as Fields)
  return Array.isArray(nodes) && nodes.some(({ host }) => isIP(String(host).replace(/^\[|\]$/g, '')) === 0)
}
