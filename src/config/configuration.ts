/**
 * Everything that is configured, as it was written and checked. An Admin API changes it one resource at a time; what
 * that means for the plan is found without looking at the resources that a change does not reach.
 */
import type { KeptResources } from './certificate-items.ts'
import { equal } from './copy.ts'
import { type CredentialOwner, CredentialOwners } from './credential-owners.ts'
import type { Declarations, Inputs } from './declarations.ts'
import type { SourceDocument } from './load.ts'
import {
  type Plan,
  type PlanChanges,
  type PluginConfig,
  type Plugins,
  type ResourceKind,
  resourceKinds,
} from './plan.ts'
import type { Catalogue } from './policy-check.ts'
import { withPolicyUpstreams } from './policy-upstreams.ts'
import type { PathSegment } from './problem.ts'
import type { Place } from './report.ts'
import { type InputSource, specOf } from './resource-spec.ts'
import type { ConsumerInput, CostDecorationInput, CredentialInput, ServiceInput } from './resources.ts'
import { decorationPath } from './service-decorations.ts'
import { SharedStates } from './shared-states.ts'
import { isCertificateKind } from './sni-resources.ts'
import { allUsesOf, type ResourceName, usesOf } from './uses.ts'

interface Held<Input> {
  input: Input
  /** Where it stands in a file, where alone it can be changed. */
  place?: Place
}

type AllHeld = { [K in ResourceKind]: Map<string, Held<Inputs[K]>> }

/** Takes back one change. Changes are taken back in the reverse of their order. */
export type Undo = () => void

export class Configuration implements InputSource {
  readonly #held: AllHeld
  /** Credentials that are resources of their own, by consumer and id. */
  readonly #credentials = new Map<string, Map<string, CredentialInput>>()
  /** The same of what services say about costs. */
  readonly #decorations = new Map<string, Map<string, CostDecorationInput>>()
  readonly #users = new Map<ResourceName, Set<ResourceName>>()
  readonly #catalogue: Catalogue
  readonly #owners: CredentialOwners
  readonly #shared: SharedStates
  readonly #kept = new Map<ResourceName, object>()
  /** Those that stand in files. */
  readonly #filed = new Map<string, Record<string, unknown>>()
  readonly #changed = new Set<ResourceName>()
  /** Of stream routes: their places, of which the first that fits counts. */
  readonly #positions = new Map<string, number>()
  #nextPosition = 0

  /** `held`: the document of what does not come from files; `kept`: what is not part of a plan itself. */
  constructor(
    declarations: Declarations,
    held: SourceDocument | undefined,
    catalogue: Catalogue,
    kept: KeptResources,
  ) {
    this.#catalogue = catalogue
    this.#owners = new CredentialOwners(catalogue)
    this.#shared = new SharedStates(catalogue)
    this.#held = Object.fromEntries(resourceKinds.map((kind) => [kind, new Map()])) as unknown as AllHeld
    for (const kind of resourceKinds) {
      for (const { id, input, place } of declarations[kind].values()) {
        if (input === undefined) continue
        const map = this.#held[kind] as Map<string, Held<unknown>>
        map.set(id, place.document === held ? { input } : { input, place })
        if (kind === 'stream_routes') this.#positions.set(id, this.#nextPosition++)
        this.#enter(`${kind}/${id}`, input)
      }
    }
    for (const [name, { resource, document }] of kept) {
      this.#kept.set(name, resource)
      if (document !== held) this.#filed.set(name, resource)
      this.#enter(name, resource)
    }
    if (held === undefined) return
    this.#detachCredentials(held)
    this.#detachDecorations(held)
    this.#changed.clear()
  }

  has(kind: ResourceKind, id: string): boolean {
    return this.#held[kind].has(id)
  }

  get<K extends ResourceKind>(kind: K, id: string): Inputs[K] | undefined {
    return (this.#held[kind] as Map<string, Held<Inputs[K]>>).get(id)?.input
  }

  /** The same with what belongs to it and is a resource of its own: a consumer's credentials, a service's decorations. */
  whole<K extends ResourceKind>(kind: K, id: string): Inputs[K] | undefined {
    const input = this.get(kind, id)
    const decorations = kind === 'services' ? this.#decorations.get(id) : undefined
    if (input !== undefined && decorations !== undefined) {
      const { graphql_cost_decorations: own = [] } = input as ServiceInput
      return { ...input, graphql_cost_decorations: [...own, ...decorations.values()] }
    }
    const detached = kind === 'consumers' ? this.#credentials.get(id) : undefined
    if (input === undefined || detached === undefined) return input
    const { credentials = [] } = input as ConsumerInput
    return { ...input, credentials: [...credentials, ...detached.values()] }
  }

  /** Of a route for streams, among all of them. */
  position(id: string): number {
    return this.#positions.get(id) ?? 0
  }

  isFromFile(kind: string, id: string): boolean {
    if (!isPlanKind(kind)) return this.#filed.has(`${kind}/${id}`)
    return this.#held[kind].get(id)?.place !== undefined
  }

  /** What stands in files, as it was written. */
  *fromFiles(kind: ResourceKind): Generator<{ id: string; value: Record<string, unknown> }> {
    for (const [id, { place }] of this.#held[kind]) {
      if (place !== undefined && !isMade(place)) yield { id, value: written(place) }
    }
  }

  /** As it stands in a file; undefined: it stands in none. */
  fromFile(kind: ResourceKind, id: string): Record<string, unknown> | undefined {
    const place = this.#held[kind].get(id)?.place
    return place === undefined || isMade(place) ? undefined : written(place)
  }

  /** The same of what is not part of a plan itself. */
  *keptFromFiles(kind: string): Generator<{ id: string; value: Record<string, unknown> }> {
    for (const [name, value] of this.#filed) {
      if (name.startsWith(`${kind}/`)) yield { id: name.slice(kind.length + 1), value }
    }
  }

  keptFromFile(kind: string, id: string): Record<string, unknown> | undefined {
    return this.#filed.get(`${kind}/${id}`)
  }

  *entries<K extends ResourceKind>(kind: K): Generator<[id: string, input: Inputs[K]]> {
    for (const [id, { input }] of this.#held[kind] as Map<string, Held<Inputs[K]>>) yield [id, input]
  }

  /** The resources of a plan that refer to this one. */
  usersOf(name: ResourceName): Iterable<ResourceName> {
    return this.#users.get(name) ?? []
  }

  /** Consumers, and credentials of their own, that identify themselves to a policy with this value. */
  ownersOf(policy: string, value: string): readonly CredentialOwner[] {
    return this.#owners.of(policy, value)
  }

  /** Whether a resource other than `owner` shares the state of this configuration of a policy, and has another one. */
  conflicts(policy: string, config: PluginConfig, owner: ResourceName): boolean {
    return this.#shared.conflicts(policy, config, owner)
  }

  /** Puts a resource, checked and with its defaults, or removes it. */
  set<K extends ResourceKind>(kind: K, id: string, input: Inputs[K] | undefined): Undo {
    const map = this.#held[kind] as Map<string, Held<Inputs[K]>>
    const before = map.get(id)
    this.#swap(kind, id, map, before, input && { input })
    return () => this.#swap(kind, id, map, map.get(id), before)
  }

  /** Puts or removes a resource that is not part of a plan: what it refers to is kept in mind, and nothing else of it. */
  keep(kind: string, id: string, resource: object | undefined): Undo {
    const name: ResourceName = `${kind}/${id}`
    const before = this.#kept.get(name)
    if (before !== undefined) this.#leave(name, before)
    if (resource === undefined) this.#kept.delete(name)
    else {
      this.#kept.set(name, resource)
      this.#enter(name, resource)
    }
    return () => void this.keep(kind, id, before)
  }

  /** What `keep` was given. */
  kept(kind: string, id: string): object | undefined {
    return this.#kept.get(`${kind}/${id}`)
  }

  /** Of any kind. */
  usesOf(name: ResourceName): { direct: readonly ResourceName[]; plugins: readonly ResourceName[] } {
    const slash = name.indexOf('/')
    const kind = name.slice(0, slash) as ResourceKind
    const resource = this.#kept.get(name) ?? (this.#held[kind]?.get(name.slice(slash + 1))?.input as object)
    return resource === undefined ? { direct: [], plugins: [] } : usesOf(resource)
  }

  setCredential(username: string, id: string, input: CredentialInput | undefined): Undo {
    const credentials = this.#credentials.get(username) ?? new Map<string, CredentialInput>()
    this.#credentials.set(username, credentials)
    const before = credentials.get(id)
    const owner = { username, credential: id }
    this.#owners.remove(owner, before?.plugins)
    this.#owners.add(owner, input?.plugins)
    if (input === undefined) credentials.delete(id)
    else credentials.set(id, input)
    if (credentials.size === 0) this.#credentials.delete(username)
    this.#changed.add(`consumers/${username}`)
    return () => void this.setCredential(username, id, before)
  }

  decorationsOf(service: string): ReadonlyMap<string, CostDecorationInput> {
    return this.#decorations.get(service) ?? new Map()
  }

  setDecoration(service: string, id: string, input: CostDecorationInput | undefined): Undo {
    const decorations = this.#decorations.get(service) ?? new Map<string, CostDecorationInput>()
    this.#decorations.set(service, decorations)
    const before = decorations.get(id)
    if (input === undefined) decorations.delete(id)
    else decorations.set(id, input)
    if (decorations.size === 0) this.#decorations.delete(service)
    this.#changed.add(`services/${service}`)
    return () => void this.setDecoration(service, id, before)
  }

  /** What has been set since the last call, as a difference to `plan`. */
  takeChanges(plan: Plan): PlanChanges {
    const changes: PlanChanges = { put: {}, remove: {} }
    for (const name of this.#changed) {
      const slash = name.indexOf('/')
      const kind = name.slice(0, slash) as ResourceKind
      const id = name.slice(slash + 1)
      const before = plan[kind].get(id)
      const own = specOf(kind, id, this)
      const spec = own && withPolicyUpstreams(kind, id, own, this.#catalogue)
      if (spec !== undefined && !equal(before, spec)) {
        const list: unknown[] = changes.put[kind] ?? []
        list.push(spec)
        Object.assign(changes.put, { [kind]: list })
      } else if (spec === undefined && before !== undefined) {
        const list = changes.remove[kind] ?? []
        list.push(id)
        changes.remove[kind] = list
      }
    }
    this.#changed.clear()
    return changes
  }

  #swap<K extends ResourceKind>(
    kind: K,
    id: string,
    map: Map<string, Held<Inputs[K]>>,
    before: Held<Inputs[K]> | undefined,
    after: Held<Inputs[K]> | undefined,
  ): void {
    const name: ResourceName = `${kind}/${id}`
    if (before !== undefined) this.#leave(name, before.input)
    if (after === undefined) map.delete(id)
    else {
      map.set(id, after)
      this.#enter(name, after.input)
    }
    this.#changed.add(name)
    if (kind === 'stream_routes') this.#place(id, after !== undefined)
    if (kind !== 'services') return
    if (equal(inherited(before?.input as ServiceInput), inherited(after?.input as ServiceInput))) return
    for (const user of this.usersOf(name)) if (/^(stream_)?routes\//.test(user)) this.#changed.add(user)
  }

  /** One that comes anew comes last. */
  #place(id: string, isThere: boolean): void {
    if (!isThere) this.#positions.delete(id)
    else if (!this.#positions.has(id)) this.#positions.set(id, this.#nextPosition++)
  }

  #enter(name: ResourceName, input: object): void {
    this.#shared.add(name, (input as { plugins?: Plugins }).plugins)
    if (isConsumer(name)) {
      for (const { owner, plugins } of identifications(input)) this.#owners.add(owner, plugins)
    }
    for (const used of allUsesOf(input)) {
      const users = this.#users.get(used)
      if (users === undefined) this.#users.set(used, new Set([name]))
      else users.add(name)
    }
  }

  #leave(name: ResourceName, input: object): void {
    this.#shared.remove(name, (input as { plugins?: Plugins }).plugins)
    if (isConsumer(name)) {
      for (const { owner, plugins } of identifications(input)) this.#owners.remove(owner, plugins)
    }
    for (const used of allUsesOf(input)) {
      const users = this.#users.get(used)
      users?.delete(name)
      if (users?.size === 0) this.#users.delete(used)
    }
  }

  /** The check puts every credential into its consumer. Those that are resources of their own are taken out again. */
  #detachCredentials(held: SourceDocument): void {
    const { consumers = [] } = held.value as { consumers?: { id?: unknown }[] }
    for (const { id } of consumers) {
      const [username, , credentialId] = typeof id === 'string' ? id.split('/') : []
      const consumer = username === undefined ? undefined : this.get('consumers', username)
      const credential = consumer?.credentials?.find((candidate) => String(candidate.id) === credentialId)
      if (consumer === undefined || credential === undefined) continue
      this.#leave(`consumers/${username!}`, consumer)
      consumer.credentials = consumer.credentials!.filter((candidate) => candidate !== credential)
      this.#enter(`consumers/${username!}`, consumer)
      this.setCredential(username!, credentialId!, credential)
    }
  }

  /** The same for services. */
  #detachDecorations(held: SourceDocument): void {
    const { services = [] } = held.value as { services?: Record<string, unknown>[] }
    for (const item of services) {
      const path = decorationPath(item)
      const service = path && this.get('services', path.service)
      const list = service?.graphql_cost_decorations
      const decoration = list?.find((candidate) => String(candidate.id) === path!.id)
      if (decoration === undefined) continue
      service!.graphql_cost_decorations = list!.filter((candidate) => candidate !== decoration)
      this.setDecoration(path!.service, path!.id, decoration)
    }
  }
}

const isPlanKind = (kind: string): kind is ResourceKind => (resourceKinds as readonly string[]).includes(kind)

/** An entry of `ssls` that another resource became. */
const isMade = ({ path }: Place) => isCertificateKind(String(path[0]))

const isConsumer = (name: ResourceName) => name.startsWith('consumers/')

/** All that a consumer holds itself to identify with. */
function* identifications(
  consumer: object,
): Generator<{ owner: CredentialOwner; plugins: Plugins | undefined }> {
  const { username, plugins, credentials = [] } = consumer as ConsumerInput
  yield { owner: { username }, plugins }
  for (const { id, plugins } of credentials) {
    yield { owner: { username, ...(id !== undefined && { credential: String(id) }) }, plugins }
  }
}

const written = ({ document, path }: Place) => {
  let value = document.value
  for (const segment of path) value = (value as Record<PathSegment, unknown>)[segment]
  return value as Record<string, unknown>
}

/** What routes take from their service when the plan is made. */
const inherited = (service: ServiceInput | undefined) => [
  service?.hosts,
  service?.path_prefix,
  service?.strip_path_prefix,
  service?.enable_websocket,
  service?.status,
]
