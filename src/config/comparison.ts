/** What differs between two configurations, resource by resource and property by property, in their normal form. */
import type { Configuration } from './configuration.ts'
import { equal } from './copy.ts'
import { normalForm, setFields } from './normal-form.ts'
import { type ResourceKind, resourceKinds } from './plan.ts'
import type { PathSegment } from './problem.ts'
import { type Configured, redacted, type SecretFields } from './secret-fields.ts'
import type { Settings } from './settings.ts'

/** One side of a comparison. */
export interface ComparedConfiguration {
  settings: Readonly<Record<string, unknown>>
  /** Normal forms by kind and id. */
  resources: Readonly<Record<ResourceKind, ReadonlyMap<string, Readonly<Record<string, unknown>>>>>
}

/** A property that differs; a resource that only one side has when the path is empty. */
export interface Difference {
  /** `gateway` for the settings, which have an empty id. */
  kind: ResourceKind | 'gateway'
  id: string
  path: PathSegment[]
  /** Undefined: it is not there. */
  before: unknown
  after: unknown
}

/** What was checked by the `version` of the gateway, as a side of a comparison. */
export function comparedConfiguration(
  settings: Settings,
  configuration: Configuration,
  version: string,
): ComparedConfiguration {
  const forms = resourceKinds.map((kind) => {
    const ids = [...configuration.entries(kind)].map(([id]) => id)
    const entries = ids.map((id) => [id, normalForm(kind, configuration.whole(kind, id)!)] as const)
    return [kind, new Map(entries)] as const
  })
  return {
    // The default differs from version to version, and means the same.
    settings: {
      ...settings,
      server: settings.server === `sluice/${version}` ? 'sluice/VERSION' : settings.server,
    },
    resources: Object.fromEntries(forms) as unknown as ComparedConfiguration['resources'],
  }
}

/** In the order of what operators think of first. */
const kinds: readonly ResourceKind[] = [
  'routes',
  'services',
  'upstreams',
  ...resourceKinds.filter((kind) => kind !== 'routes' && kind !== 'services' && kind !== 'upstreams'),
]

export function compare(before: ComparedConfiguration, after: ComparedConfiguration): Difference[] {
  const differences: Difference[] = []
  comparedFields(before.settings, after.settings, [], (path, old, now) => {
    differences.push({ kind: 'gateway', id: '', path, before: old, after: now })
  })
  for (const kind of kinds) {
    const [left, right] = pairUnnamed(before.resources[kind], after.resources[kind])
    for (const id of new Set([...left.keys(), ...right.keys()])) {
      const old = left.get(id)
      const now = right.get(id)
      if (old === undefined || now === undefined) {
        differences.push({ kind, id, path: [], before: old, after: now })
      } else {
        comparedFields(old, now, [], (path, oldValue, newValue) => {
          differences.push({ kind, id, path, before: oldValue, after: newValue })
        })
      }
    }
  }
  return differences
}

/** A copy in which every secret is replaced. */
export function redactedConfiguration(
  { settings, resources }: ComparedConfiguration,
  secrets: SecretFields,
): ComparedConfiguration {
  const maps = resourceKinds.map((kind) => {
    const forms = [...resources[kind]].map(([id, form]) => [id, secrets.redact({ kind, id }, form)] as const)
    return [kind, new Map(forms)]
  })
  return {
    settings: secrets.redact(gateway, settings) as ComparedConfiguration['settings'],
    resources: Object.fromEntries(maps),
  }
}

const gateway: Configured = { kind: 'gateway', id: '' }

export interface FoundSecret extends Configured {
  path: PathSegment[]
  value: unknown
}

/** Every secret of a configuration, with its place. */
export function secretsOf(
  { settings, resources }: ComparedConfiguration,
  secrets: SecretFields,
): FoundSecret[] {
  const found: FoundSecret[] = []
  const look = (owner: Configured, value: unknown, path: PathSegment[]): void => {
    if (typeof value === 'object' && value !== null) {
      const entries = Array.isArray(value) ? value.entries() : Object.entries(value)
      for (const [key, item] of entries) look(owner, item, [...path, key])
    } else if (value !== redacted && secrets.redact(owner, value, path) === redacted) {
      found.push({ ...owner, path, value })
    }
  }
  look(gateway, settings, [])
  for (const kind of resourceKinds) for (const [id, form] of resources[kind]) look({ kind, id }, form, [])
  return found
}

/** Undefined when there is nothing at that path. */
export function valueIn(
  { settings, resources }: ComparedConfiguration,
  { kind, id }: Configured,
  path: readonly PathSegment[],
): unknown {
  let at: unknown = kind === 'gateway' ? settings : resources[kind].get(id)
  for (const segment of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, segment)) return undefined
    at = (at as Record<PathSegment, unknown>)[segment]
  }
  return at
}

type Found = (path: PathSegment[], before: unknown, after: unknown) => void
type Forms = ReadonlyMap<string, Readonly<Record<string, unknown>>>

/** Resources without an id are called by their place, which says nothing: those that both sides have are left out. */
function pairUnnamed(before: Forms, after: Forms): [Forms, Forms] {
  const unnamed = (id: string) => /^arr_\d+$/.test(id)
  const candidates = new Map([...after].filter(([id]) => unnamed(id)))
  if (candidates.size === 0) return [before, after]
  const left = new Map(before)
  const right = new Map(after)
  for (const [id, form] of before) {
    if (!unnamed(id)) continue
    const twin = equal(candidates.get(id), form)
      ? id
      : [...candidates].find(([, candidate]) => equal(candidate, form))?.[0]
    if (twin === undefined) continue
    candidates.delete(twin)
    left.delete(id)
    right.delete(twin)
  }
  return [left, right]
}

function compared(before: unknown, after: unknown, path: PathSegment[], found: Found): void {
  if (equal(before, after)) return
  if (isMap(before) && isMap(after)) comparedFields(before, after, path, found)
  else if (isList(before, path) && isList(after, path) && before.length === after.length) {
    for (const [index, value] of before.entries()) compared(value, after[index], [...path, index], found)
  } else found(path, before, after)
}

function comparedFields(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
  path: PathSegment[],
  found: Found,
): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    compared(before[name], after[name], [...path, name], found)
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A list in which places mean something. */
function isList(value: unknown, path: readonly PathSegment[]): value is unknown[] {
  return Array.isArray(value) && !(path.length === 1 && setFields.has(String(path[0])))
}
