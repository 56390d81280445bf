/**
 * Everything that the Admin API holds as one document, as the API-driven standalone mode of APISIX has it: lists of
 * resources, each with a version that says whether it changed. The document and single resources are two ways to the
 * same store.
 */
import { copy } from '../../config/copy.ts'
import { CredentialOwners } from '../../config/credential-owners.ts'
import type { Inputs } from '../../config/declarations.ts'
import type { Plugins } from '../../config/plan.ts'
import type { Catalogue } from '../../config/policy-check.ts'
import type { Transaction } from '../live-configuration.ts'
import type { StoredResource } from './disk.ts'
import { hold, remove } from './holding.ts'
import { adminKinds } from './kinds.ts'
import { folderOf, holdsPrivateKeys, withoutPrivateKeys } from './lists.ts'
import type { ResourceCheck, Surroundings } from './resource-check.ts'
import type { Store } from './store.ts'
import { readTarget, type Target } from './target.ts'

type Value = Record<string, unknown>

/** Lists of a document. `plugins` says which plugins APISIX loads; it is kept, and has no effect here. */
const sections = [...adminKinds.keys()]
  .filter((name) => name !== 'credentials' && name !== 'graphql_cost_decorations')
  .concat('plugins')

const versionOf = (section: string) => `${section}_conf_version`

/** One item of a section. */
interface Item {
  section: string
  /** From 0. */
  index: number
  target: Target
  value: Value
}

/** What is wrong with a document, in the members of APISIX's answer. */
export interface DocumentFault {
  resource_type: string
  resource_id?: unknown
  /** From 0. */
  index?: number
  error: string
}

interface CheckedItem extends Item {
  input: object
}

/** What the store knows about the document that it was last given. */
interface DocumentFacts {
  digest: string
  /** Epoch seconds. */
  modified: number
  versions: Record<string, number>
  plugins?: unknown
}

const factName = 'configs'

export const readFacts = (store: Store): DocumentFacts | undefined => {
  const text = store.fact(factName)
  return text === undefined ? undefined : (JSON.parse(text) as DocumentFacts)
}

/** Every fault, or the items with their defaults. References are not followed, as in APISIX. */
export function checkDocument(
  document: Value,
  check: ResourceCheck,
  catalogue: Catalogue,
  { configuration }: Pick<Transaction, 'configuration'>,
): { faults: DocumentFault[]; items: CheckedItem[] } {
  const faults: DocumentFault[] = []
  const all = readItems(document, faults)
  const around = surroundingsOf(all, catalogue, configuration)
  const items: CheckedItem[] = []
  const seen = new Set<string>()
  for (const item of all) {
    const { section, index, target, value } = item
    const fault = (error: string) =>
      faults.push({ resource_type: section, resource_id: value.id ?? value.username ?? '', index, error })
    const checked = check.check(target, withoutIndex(value, target), around)
    if ('error' in checked) fault(String(checked.error))
    else items.push({ ...item, input: checked.input })
    const named = value.id ?? value.username
    if (named !== undefined && seen.has(target.key)) {
      const what = section === 'consumers' ? (value.id === undefined ? 'username' : 'credential id') : 'id'
      fault(`found duplicate ${what} ${named} in ${section}`)
    }
    seen.add(target.key)
    const { plan } = target.kind
    if (plan !== undefined && target.id !== undefined && configuration.isFromFile(plan, target.id)) {
      fault(`${target.kind.noun} [${target.id}] is in a configuration file, and can only be changed there`)
    }
  }
  return { faults, items }
}

function readItems(document: Value, faults: DocumentFault[]): Item[] {
  const items: Item[] = []
  for (const section of sections) {
    const version = document[versionOf(section)]
    if (version !== undefined && typeof version !== 'number') {
      faults.push({ resource_type: section, error: `${versionOf(section)} must be a number` })
    }
    const list = document[section] ?? []
    if (section === 'plugins') continue
    if (!Array.isArray(list)) {
      faults.push({ resource_type: section, error: `${section} must be a list` })
      continue
    }
    list.forEach((value: unknown, index) => {
      const target = isMap(value) ? itemTarget(section, value, index) : undefined
      if (target !== undefined)
        items.push(...itemsOf({ section, index, target, value: value as Value }, faults))
      else if (!isMap(value)) faults.push({ resource_type: section, index, error: 'it must be an object' })
      else {
        const error = `invalid ${section.slice(0, -1)} id: ${value.id ?? ''}`
        faults.push({ resource_type: section, resource_id: value.id ?? '', index, error })
      }
    })
  }
  return items
}

/** A service's further upstreams stand inside of it, as in API7, and are resources of their own. */
function itemsOf(item: Item, faults: DocumentFault[]): Item[] {
  const { section, index, target, value } = item
  if (section !== 'services' || value.upstreams === undefined) return [item]
  const { upstreams, ...service } = value
  const fault = (error: string) =>
    faults.push({ resource_type: section, resource_id: value.id ?? '', index, error })
  if (!Array.isArray(upstreams)) fault('upstreams must be a list')
  const items = [{ ...item, value: service }]
  for (const upstream of Array.isArray(upstreams) ? (upstreams as unknown[]) : []) {
    const id = isMap(upstream) ? (upstream.id ?? upstream.name) : undefined
    const own = id === undefined ? undefined : readTarget(['services', target.id!, 'upstreams', String(id)])
    if (own === undefined) fault('each of the upstreams needs an id or a name')
    else items.push({ section, index, target: own, value: { ...(upstream as Value), id } })
  }
  return items
}

/** Undefined: its id is not one that the section has. */
function itemTarget(section: string, value: Value, index: number): Target | undefined {
  const { username, id } = value
  if (section === 'consumers' && username !== undefined) return readTarget(['consumers', String(username)])
  const segments = id === undefined ? [`arr_${index + 1}`] : String(id).split('/')
  const target = readTarget([section, ...segments])
  const isDecoration = target?.kind.name === 'graphql_cost_decorations'
  const expected = section === 'consumers' || isDecoration ? 3 : section === 'secrets' ? 2 : 1
  return segments.length === expected && target?.id !== undefined ? target : undefined
}

/** As a single resource is checked: `modifiedIndex` belongs to documents only, and so does the path in an id. */
function withoutIndex({ modifiedIndex: _, ...value }: Value, target: Target): Value {
  const isOwned = target.consumer !== undefined || target.kind.name === 'graphql_cost_decorations'
  return isOwned ? { ...value, id: target.id } : value
}

/** The document itself, and what stands in files. */
function surroundingsOf(
  items: readonly Item[],
  catalogue: Catalogue,
  configuration: Transaction['configuration'],
): Surroundings {
  const owners = new CredentialOwners(catalogue)
  for (const { section, target, value } of items) {
    if (section !== 'consumers' || !isMap(value.plugins)) continue
    const { consumer, id } = target
    const owner = consumer === undefined ? { username: id! } : { username: consumer, credential: id! }
    owners.add(owner, value.plugins as Plugins)
  }
  const rules = items
    .filter(({ section, value }) => section === 'global_rules' && isMap(value.plugins))
    .map(({ target, value }) => [target.id!, { plugins: value.plugins as Plugins }] as const)
  const others = new Map(items.map(({ target, value }) => [`${target.kind.name}/${target.id}`, value]))
  const decorations = new Map<string, [id: string, { field_path: string }][]>()
  for (const { target, value } of items) {
    if (target.kind.name !== 'graphql_cost_decorations') continue
    const own = decorations.get(target.service!) ?? []
    own.push([target.id!, value as { field_path: string }])
    decorations.set(target.service!, own)
  }
  const fromFiles = [...configuration.fromFiles('global_rules')]
  return {
    exists: () => true,
    ownersOf: (policy, value) => [
      ...owners.of(policy, value),
      ...configuration
        .ownersOf(policy, value)
        .filter(({ username }) => configuration.isFromFile('consumers', username)),
    ],
    globalRules: () => [
      ...rules,
      ...fromFiles.map(({ id, value }) => [id, { plugins: value.plugins as Plugins }] as const),
    ],
    conflicts: () => false,
    metadata: (policy) =>
      others.get(`plugin_metadata/${policy}`) ?? configuration.get('plugin_metadata', policy),
    certificate: (id) => others.get(`ssls/${id}`) as Inputs['ssls'] | undefined,
    kept: (kind, id) => others.get(`${kind}/${id}`),
    decorationsOf: (service) => decorations.get(service) ?? [],
  }
}

/** The versions that sections get; or the first that goes back. */
export function nextVersions(
  document: Value,
  held: Readonly<Record<string, number>>,
): { versions: Record<string, number> } | { problem: string } {
  const versions: Record<string, number> = {}
  for (const section of sections) {
    const before = held[section] ?? 0
    const version = (document[versionOf(section)] as number | undefined) ?? before + 1
    if (version < before) {
      return { problem: `${versionOf(section)} must be greater than or equal to (${before})` }
    }
    versions[section] = version
  }
  return { versions }
}

/** Brings the store and the configuration to what the items say, in the sections whose version is another one. */
export function applyDocument(
  items: readonly CheckedItem[],
  facts: DocumentFacts,
  transaction: Transaction,
): void {
  const { store, writes } = transaction
  const before = readFacts(store)?.versions ?? {}
  const bySection = Map.groupBy(items, ({ section }) => section)
  for (const section of sections) {
    if (facts.versions[section] === (before[section] ?? 0) || section === 'plugins') continue
    const wanted = new Map((bySection.get(section) ?? []).map((item) => [item.target.key, item]))
    for (const target of heldTargets(section, store)) {
      if (!wanted.has(target.key)) remove(target, transaction)
    }
    for (const { target, value, input } of wanted.values()) {
      const stored = store.get(folderOf(target), target.id!)
      if (stored?.value !== JSON.stringify(value)) {
        hold(target, { value: copy(value), input, expires: null }, transaction)
      }
    }
  }
  writes()
  store.setFact(factName, JSON.stringify(facts))
}

/** What belongs to a resource, and goes with it, before the resource. */
function heldTargets(section: string, store: Store): Target[] {
  const targets = store.list(section).map(({ id }) => readTarget([section, ...id.split('/')])!)
  return [...belongings(section, store).map(targetOfStored), ...targets]
}

const targetOfStored = ({ kind, id }: StoredResource) => readTarget([...kind.split('/'), id])!

/** Credentials of consumers, upstreams and decorations of services. */
function belongings(section: string, store: Store): StoredResource[] {
  if (section !== 'consumers' && section !== 'services') return []
  return store.all().filter(({ kind }) => kind.startsWith(`${section}/`))
}

/** The document as it would be written. Without `secrets`, private keys are left out. */
export function writeDocument(store: Store, secrets: boolean): Value {
  const document: Value = {}
  const facts = readFacts(store)
  for (const section of sections) {
    const values = section === 'plugins' ? facts?.plugins : sectionValues(section, store, secrets)
    if (Array.isArray(values) && values.length > 0) document[section] = values
    document[versionOf(section)] = facts?.versions[section] ?? 0
  }
  if (facts === undefined) return document
  return { ...document, 'X-Last-Modified': facts.modified, 'X-Digest': facts.digest }
}

function sectionValues(section: string, store: Store, secrets: boolean): Value[] {
  const owned = belongings(section, store)
  const isUpstream = ({ kind }: StoredResource) => kind.endsWith('/upstreams')
  const stored = [...store.list(section), ...owned.filter((resource) => !isUpstream(resource))]
  stored.sort((a, b) => a.created - b.created)
  const upstreams = Map.groupBy(owned.filter(isUpstream), ({ kind }) => kind.split('/')[1]!)
  return stored.map(({ kind, id, value }) => {
    const resource = JSON.parse(value) as Value
    const own =
      kind === section ? upstreams.get(id)?.map((upstream) => JSON.parse(upstream.value) as Value) : undefined
    if (own !== undefined) return { ...resource, upstreams: own }
    if (section === 'plugin_metadata') return withoutModifiedIndex(resource)
    if (kind !== section) return { ...resource, id: `${kind.split('/').slice(1).join('/')}/${id}` }
    return secrets || !holdsPrivateKeys(section) ? resource : withoutPrivateKeys(resource)
  })
}

/** ADC takes every member of plugin metadata but the id for a setting, and this one would make a difference for ever. */
function withoutModifiedIndex({ modifiedIndex: _, ...metadata }: Value): Value {
  return metadata
}

const isMap = (value: unknown): value is Value =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
