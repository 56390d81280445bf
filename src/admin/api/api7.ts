/**
 * The Admin API as API7 has it, beside APISIX's at the same paths: values without keys and indexes around them, lists
 * that choose by service, text and labels, and services that own what belongs to them. A client speaks it when it names
 * a gateway group, or shows a key of one. A gateway by itself is one group.
 */
import { apisixSchema, type JsonSchema } from '../../config/apisix-schema.ts'
import { copy } from '../../config/copy.ts'
import { upstreamSchema } from '../../config/resources.ts'
import { schemasByKind } from '../published-schemas.ts'
import { type Answer, failure, JsonText } from './answer.ts'
import type { AdminKind, Verb } from './kinds.ts'
import type { ApiRequest } from './request.ts'
import type { Target } from './target.ts'

type Value = Record<string, unknown>

const groupParameter = 'gateway_group_id'
const group = { id: 'default', name: 'default', type: 'api7_gateway' }

export const speaksApi7 = ({ query, headers }: Pick<ApiRequest, 'query' | 'headers'>): boolean =>
  query.has(groupParameter) || String(headers['x-api-key'] ?? '').startsWith('a7adm-')

/** Undefined: the group is ours, or none is named. */
export function refuseGroup({ query }: Pick<ApiRequest, 'query'>, ours: string): Answer | undefined {
  const wanted = query.get(groupParameter)
  return wanted === null || wanted === ours ? undefined : failure(404, `gateway group not found: ${wanted}`)
}

/** The version of API7 whose paths and bodies these are. */
const apiVersion = '3.9.10'

/** Kinds of `/api/schema/core`. */
const coreKinds = {
  route: 'routes',
  stream_route: 'stream_routes',
  service: 'services',
  upstream: 'upstreams',
  consumer: 'consumers',
  consumer_credential: 'credentials',
  global_rule: 'global_rules',
  ssl: 'ssls',
} as const

/** `GET /api/...`; `segments` follow `/api`. */
export function answerDashboard(segments: readonly string[], { method, query }: ApiRequest): Answer {
  if (method !== 'GET') return notFound
  switch (segments.join('/')) {
    case 'version':
      return { status: 200, body: { value: apiVersion } }
    case 'schema/core': {
      const schemas = Object.entries(coreKinds).map(([name, kind]) => [name, coreSchema(kind)])
      return { status: 200, body: { value: Object.fromEntries(schemas) } }
    }
    case 'gateway_groups': {
      const wanted = query.get('name') ?? query.get('search') ?? ''
      const list = group.name.includes(wanted) ? [group] : []
      return { status: 200, body: { list, total: list.length } }
    }
    default:
      return notFound
  }
}

/**
 * The fields of a kind. Clients fill in what they have by default, and take `allOf` for the whole of a schema: what
 * fields must be together is left out. A consumer's credentials are resources of their own to them.
 */
function coreSchema(kind: string): object {
  const { type, properties } = apisixSchema(schemasByKind[kind]!)
  const { credentials: _, ...others } = properties ?? {}
  return { type, properties: kind === 'consumers' ? others : properties }
}

const notFound = failure(404, '404 Not Found')

/** What a resource is called inside itself, beside its path. */
const ownIds: Readonly<Record<string, string>> = {
  services: 'service_id',
  routes: 'route_id',
  stream_routes: 'stream_route_id',
}

/** The body as the resource is kept: without its own id under a name of API7's. */
export function keptBody({ kind, id }: Target, body: unknown): { body: unknown } | { problem: string } {
  const field = ownIds[kind.name]
  if (field === undefined || typeof body !== 'object' || body === null || Array.isArray(body)) return { body }
  const { [field]: own, ...rest } = body as Value
  if (own === undefined) return { body }
  if (id === undefined) return { body: { ...rest, id: own } }
  return String(own) === id ? { body: rest } : { problem: `wrong ${kind.noun} id` }
}

/** The same for a whole document; credentials stand inside their consumers there, and rules may have no ids. */
export function keptDocument(document: Value): Value {
  const kept = { ...document }
  for (const [section, field] of Object.entries(ownIds)) {
    kept[section] = eachMap(kept[section], ({ [field]: own, ...rest }) =>
      own === undefined ? rest : { id: own, ...rest },
    )
  }
  kept.global_rules = eachMap(kept.global_rules, (rule) => ({
    id: Object.keys((rule.plugins as object | undefined) ?? {}).join('-'),
    ...rule,
  }))
  const credentials: Value[] = []
  kept.consumers = eachMap(kept.consumers, ({ credentials: own, ...consumer }) => {
    if (!Array.isArray(own)) return consumer
    for (const [index, { credential_id: id, ...credential }] of own.entries()) {
      credentials.push({
        ...credential,
        id: `${consumer.username}/credentials/${id ?? credential.id ?? index}`,
      })
    }
    return consumer
  })
  // Behind the consumers, so that these keep their places in the list of what is wrong.
  if (credentials.length > 0) kept.consumers = [...(kept.consumers as Value[]), ...credentials]
  return kept
}

/** What is no list, and what is no map in it, is left as it is. */
function eachMap(list: unknown, work: (value: Value) => Value): unknown {
  if (!Array.isArray(list)) return list
  return list.map((value) => (isMap(value) ? work(value) : value))
}

/** What lists choose by, and in which order, beyond what APISIX has; the answer's page is cut here. */
export function unpagedQuery(query: URLSearchParams): URLSearchParams {
  const left = new URLSearchParams(query)
  for (const name of ['page', 'page_size']) left.delete(name)
  return left
}

interface Kept {
  key: string
  value: Value
}

export function api7Answer(verb: Verb, target: Target, query: URLSearchParams, answer: Answer): Answer {
  const { kind, id } = target
  if (verb === 'get' && id === undefined && answer.status === 404) return listAnswer([], kind, query)
  if (answer.status >= 300) return answer
  if (verb === 'delete') return { status: 200, body: '' }
  const body = (answer.body instanceof JsonText ? JSON.parse(answer.body.text) : answer.body) as object
  if ('list' in body) return listAnswer(body.list as Kept[], kind, query)
  return { status: answer.status, body: { value: shown(kind, (body as Kept).value) } }
}

function listAnswer(kept: readonly Kept[], kind: AdminKind, query: URLSearchParams): Answer {
  if (kind.identity === 'plugin') {
    const byPlugin = kept.map(({ value: { id, ...metadata } }) => [id, metadata])
    return { status: 200, body: { value: Object.fromEntries(byPlugin) } }
  }
  const chosen = kept.map(({ value }) => value).filter((value) => accepts(value, query))
  const order = query.get('order_by')
  if (order !== null) {
    const sign = query.get('direction') === 'desc' ? -1 : 1
    chosen.sort((a, b) => sign * compare(a[order], b[order]))
  }
  const size = Number(query.get('page_size') ?? Number.NaN)
  const from = size > 0 ? (Math.max(1, Number(query.get('page') ?? 1)) - 1) * size : 0
  const page = size > 0 ? chosen.slice(from, from + size) : chosen
  return { status: 200, body: { list: page.map((value) => shown(kind, value)), total: chosen.length } }
}

function accepts(value: Value, query: URLSearchParams): boolean {
  const service = query.get('service_id')
  if (service !== null && String(value.service_id) !== service) return false
  const text = query.get('search')
  if (text !== null && !String(value.name ?? value.username ?? value.id).includes(text)) return false
  const labels = (value.labels ?? {}) as Value
  for (const [name, wanted] of query) {
    const label = /^labels\[(.+)\]$/.exec(name)?.[1]
    if (label !== undefined && (!Object.hasOwn(labels, label) || String(labels[label]) !== wanted))
      return false
  }
  return true
}

const compare = (a: unknown, b: unknown): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : String(a ?? '') < String(b ?? '') ? -1 : 1

/** With the defaults of the published schema, as API7 keeps it: clients compare. A route says its paths by one name. */
function shown({ name }: AdminKind, kept: Value): Value {
  const value = copy(kept)
  fillDefaults(apisixSchema(schemasByKind[name]!), value)
  if (isMap(value.upstream)) fillDefaults(apisixSchema(upstreamSchema), value.upstream)
  if (name !== 'routes' || value.paths !== undefined) return value
  const { uri, uris, ...rest } = value
  return { ...rest, paths: uris ?? [uri] }
}

/** In place; what stands in a map that is not there is left out, as those clients leave it out. */
function fillDefaults({ type, properties = {} }: JsonSchema, value: Value): void {
  if (type !== 'object') return
  for (const [field, schema] of Object.entries(properties)) {
    const { default: byDefault } = schema as JsonSchema
    const held = value[field]
    if (isMap(held)) fillDefaults(schema as JsonSchema, held)
    else if (held === undefined && byDefault !== undefined && typeof byDefault !== 'object')
      value[field] = byDefault
  }
}

const isMap = (value: unknown): value is Value =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
