/** Items -> resources by kind and id: their own schema and that of every policy they hold are checked here. */
import { copy } from './copy.ts'
import type { Item, Sections } from './documents.ts'
import { refuseLua } from './lua.ts'
import { nearest } from './nearest.ts'
import type { Plugins, ResourceKind } from './plan.ts'
import { resourceKinds } from './plan.ts'
import type { PluginsRole, PolicyCheck } from './policy-check.ts'
import { below, describePlace, type Place, type Report } from './report.ts'
import {
  type ConsumerInput,
  type ContractInput,
  type CredentialInput,
  credentialSchema,
  type PluginSetInput,
  type ProtoInput,
  type RouteInput,
  resourceSchemas,
  type ServiceInput,
  type ServiceRegistryInput,
  type SslInput,
  type StreamRouteInput,
  type UpstreamInput,
  upstreamSchema,
} from './resources.ts'
import { checkSchema, type SchemaProblem } from './schema.ts'
import { secretManagerKind, secretManagerSchemas } from './secret-managers.ts'
import { attachDecoration, checkDecorations, decorationPath } from './service-decorations.ts'
import { takeFurtherUpstreams } from './service-upstreams.ts'

export interface Inputs {
  routes: RouteInput
  stream_routes: StreamRouteInput
  services: ServiceInput
  upstreams: UpstreamInput
  consumer_groups: PluginSetInput
  consumers: ConsumerInput
  contracts: ContractInput
  protos: ProtoInput
  plugin_configs: PluginSetInput
  global_rules: PluginSetInput
  plugin_metadata: Record<string, unknown> & { id: string }
  service_registries: ServiceRegistryInput
  ssls: SslInput
  secrets: Record<string, unknown> & { id: string }
}

/** A resource at its place. Without `input` it did not fit its schema, and exists only for those that refer to it. */
export interface Declared<Input> {
  id: string
  place: Place
  input?: Input
}

export type Declarations = { [K in ResourceKind]: Map<string, Declared<Inputs[K]>> }

export function readDeclarations(sections: Sections, policies: PolicyCheck, report: Report): Declarations {
  const declarations = Object.fromEntries(
    resourceKinds.map((kind) => [kind, new Map()]),
  ) as unknown as Declarations
  const detached: { username: string; id: string; item: Item }[] = []
  const decorations: { service: string; id: string; item: Item }[] = []
  for (const kind of resourceKinds) {
    for (const item of sections.items[kind]) {
      const credential = kind === 'consumers' ? credentialPath(item.value) : undefined
      const decoration = kind === 'services' ? decorationPath(item.value) : undefined
      if (credential !== undefined) detached.push({ ...credential, item })
      else if (decoration !== undefined) decorations.push({ ...decoration, item })
      else if (kind === 'services') declareService(item, declarations, policies, report)
      else declare(kind, item, declarations, policies, report)
    }
  }
  for (const { username, id, item } of detached) {
    attachCredential(username, id, item, declarations, policies, report)
  }
  for (const { service, id, item } of decorations) attachDecoration(service, id, item, declarations, report)
  return declarations
}

function declareService(item: Item, declarations: Declarations, policies: PolicyCheck, report: Report): void {
  const { service, upstreams } = takeFurtherUpstreams(item, identity('services', item), report)
  declare('services', service, declarations, policies, report)
  checkDecorations(service, report)
  for (const upstream of upstreams) declare('upstreams', upstream, declarations, policies, report)
}

/** Whose `upstream` is checked on its own. */
const kindsWithInlineUpstream: ReadonlySet<ResourceKind> = new Set(['routes', 'stream_routes', 'services'])

function declare(
  kind: ResourceKind,
  item: Item,
  declarations: Declarations,
  policies: PolicyCheck,
  report: Report,
): void {
  const value = copy(item.value)
  const withLua = refuseLua(kind, value, item, report)
  const problems = checkSchema(resourceSchemas[kind], value, { references: kind === 'ssls' })
  if (kindsWithInlineUpstream.has(kind) && isMap(value.upstream)) {
    for (const problem of checkSchema(upstreamSchema, value.upstream)) {
      problems.push({ ...problem, path: ['upstream', ...problem.path] })
    }
  }
  if (kind === 'secrets' && problems.length === 0) problems.push(...secretManagerProblems(value))
  for (const { path, ...entry } of problems) report.add(below(item, ...path), entry)
  checkPolicies(kind, value, item, policies, report)

  const id = identity(kind, item)
  const place: Place = { document: item.document, path: item.path }
  const known = declarations[kind] as Map<string, Declared<unknown>>
  const other = known.get(id)
  if (other !== undefined) {
    report.add(below(item, kind === 'consumers' ? 'username' : 'id'), {
      code: 'duplicate-id',
      message: `another of the ${kind} has the same ${kind === 'consumers' ? 'username' : 'id'}, ${id}`,
      hint: `It is ${describePlace(other.place)}.`,
    })
  } else known.set(id, withLua || problems.length > 0 ? { id, place } : { id, place, input: value })
}

function roleOf(kind: ResourceKind, { type }: Record<string, unknown>): PluginsRole {
  if (kind === 'stream_routes' || (kind === 'services' && type === 'stream')) return 'stream'
  return kind === 'consumers' ? 'consumer' : kind === 'consumer_groups' ? 'group' : 'binding'
}

/** What a manager needs is known once its kind is. */
export function secretManagerProblems(value: Record<string, unknown>): SchemaProblem[] {
  if (typeof value.id !== 'string') return []
  const manager = secretManagerKind(value.id)
  if (manager !== undefined) return checkSchema(secretManagerSchemas[manager], value, { references: true })
  const near = nearest(value.id.split('/', 1)[0]!, Object.keys(secretManagerSchemas))
  return [
    {
      code: 'invalid-value',
      severity: 'error',
      path: ['id'],
      at: 'value',
      message: 'there is no such secret manager',
      hint: near ? `Did you mean ${near}/?` : `Known: ${Object.keys(secretManagerSchemas).join(', ')}.`,
    },
  ]
}

export function identity(kind: ResourceKind, { value, fallbackId }: Item): string {
  const id = kind === 'consumers' ? value.username : value.id
  return typeof id === 'string' || typeof id === 'number' ? String(id) : fallbackId
}

function checkPolicies(
  kind: ResourceKind,
  value: Record<string, unknown>,
  item: Item,
  policies: PolicyCheck,
  report: Report,
): void {
  if (kind === 'plugin_metadata') {
    const { id, create_time: _created, update_time: _updated, ...metadata } = value
    if (typeof id !== 'string') return
    policies.checkMetadata(id, metadata, item)
    Object.assign(value, metadata)
    return
  }
  const role = roleOf(kind, value)
  const owner = identity(kind, item)
  if (isPlugins(value.plugins)) policies.check(value.plugins, below(item, 'plugins'), role, owner)
  if (kind !== 'consumers' || !Array.isArray(value.credentials)) return
  const ids = new Set<string>()
  value.credentials.forEach((credential: Partial<CredentialInput> | null, index) => {
    const place = below(item, 'credentials', index)
    if (isPlugins(credential?.plugins)) {
      policies.check(credential.plugins, below(place, 'plugins'), 'credential', owner)
    }
    if (credential?.id === undefined) return
    const id = String(credential.id)
    if (ids.has(id)) {
      report.add(below(place, 'id'), {
        code: 'duplicate-id',
        message: `another credential of this consumer has the same id, ${id}`,
      })
    }
    ids.add(id)
  })
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isPlugins = (value: unknown): value is Plugins => isMap(value) && Object.values(value).every(isMap)

/** APISIX's files hold credentials beside consumers, with the id `USERNAME/credentials/ID`. */
export function credentialPath({
  id,
}: Record<string, unknown>): { username: string; id: string } | undefined {
  const match = typeof id === 'string' ? /^([^/]+)\/credentials\/([^/]+)$/.exec(id) : null
  return match === null ? undefined : { username: match[1]!, id: match[2]! }
}

function attachCredential(
  username: string,
  id: string,
  item: Item,
  declarations: Declarations,
  policies: PolicyCheck,
  report: Report,
): void {
  const value = { ...copy(item.value), id }
  const problems = checkSchema(credentialSchema, value)
  for (const { path, ...entry } of problems) report.add(below(item, ...path), entry)
  const credential = value as Record<string, unknown> as CredentialInput
  if (isPlugins(credential.plugins)) {
    policies.check(credential.plugins, below(item, 'plugins'), 'credential', username)
  }
  const consumer = declarations.consumers.get(username)
  if (consumer === undefined) {
    report.add(below(item, 'id'), {
      code: 'dangling-reference',
      message: `there is no consumer ${username}`,
    })
  } else if (consumer.input?.credentials?.some((other) => String(other.id) === id)) {
    report.add(below(item, 'id'), {
      code: 'duplicate-id',
      message: `another credential of this consumer has the same id, ${id}`,
    })
  } else if (consumer.input !== undefined) {
    consumer.input.credentials = [...(consumer.input.credentials ?? []), credential]
  }
}
