/** Where the parts of a configuration were written. */
import { credentialPath, identity } from './declarations.ts'
import { readSections } from './documents.ts'
import type { SourceDocument } from './load.ts'
import { nodeEntries, writtenAs } from './normal-form.ts'
import { resourceKinds } from './plan.ts'
import { formatPath, type PathSegment } from './problem.ts'
import { type Place, Report } from './report.ts'
import type { Configured } from './secret-fields.ts'

export interface SourcePosition {
  file: string
  /** From 1; absent when the document cannot tell. */
  line?: number
  column?: number
  /** In its document: `routes[3].plugins.cors`. */
  path: string
}

/** A property of a resource, by the path that it has in the resource or in its normal form. */
export interface WantedProperty extends Configured {
  path: readonly PathSegment[]
}

export class Provenance {
  /** By `KIND/ID`. */
  readonly #places = new Map<string, Place>()

  constructor(documents: readonly SourceDocument[]) {
    // What is wrong with them is nobody's question here.
    const { items } = readSections(documents, new Report([]))
    for (const kind of resourceKinds) {
      for (const item of items[kind]) {
        const credential = kind === 'consumers' ? credentialPath(item.value) : undefined
        const name =
          credential === undefined
            ? `${kind}/${identity(kind, item)}`
            : credentialName(credential.username, credential.id)
        if (!this.#places.has(name)) this.#places.set(name, item)
      }
    }
  }

  /**
   * Where each was written, in their order; undefined for what nobody wrote: defaults, and resources that do not exist.
   * Settings of the gateway are merged from many places and have none. Reads the documents a second time, so it is asked
   * once for everything that is wanted.
   */
  locate(wanted: readonly WantedProperty[]): (SourcePosition | undefined)[] {
    const positions = new Array<SourcePosition | undefined>(wanted.length)
    const places = wanted.map((property) => this.#placeOf(property))
    const written = [...places.entries()].flatMap(([index, place]) => (place ? [{ index, place }] : []))
    for (const [document, parts] of Map.groupBy(written, ({ place }) => place.document)) {
      const found = document.locate(parts.map(({ place }) => ({ path: place.path, at: 'key' })))
      parts.forEach(({ index, place }, n) => {
        positions[index] = { file: document.file, path: formatPath(place.path), ...found[n] }
      })
    }
    return positions
  }

  #placeOf({ kind, id, path }: WantedProperty): Place | undefined {
    const own = placeBelow(this.#places.get(`${kind}/${id}`), path)
    if (own !== undefined || kind !== 'consumers' || path[0] !== 'credentials') return own
    return placeBelow(this.#places.get(credentialName(id, String(path[1]))), path.slice(2))
  }
}

const credentialName = (username: string, id: string) => `consumers/${username}/credentials/${id}`

function placeBelow(place: Place | undefined, path: readonly PathSegment[]): Place | undefined {
  if (place === undefined) return undefined
  const written = writtenPath(valueAt(place.document.value, place.path), path)
  return written && { document: place.document, path: [...place.path, ...written] }
}

function valueAt(value: unknown, path: readonly PathSegment[]): unknown {
  return path.reduce((at, segment) => (at as Record<PathSegment, unknown> | null)?.[segment], value)
}

/** The path under which a property stands in a resource as it was written; undefined when it does not. */
function writtenPath(resource: unknown, path: readonly PathSegment[]): PathSegment[] | undefined {
  const written: PathSegment[] = []
  let at = resource
  for (const [depth, segment] of path.entries()) {
    if (typeof at !== 'object' || at === null) {
      // The weight of a node that is written as `host:port: weight`.
      return depth > 1 && path[depth - 2] === 'nodes' && segment === 'weight' ? written : undefined
    }
    const name = nameIn(at as Record<PathSegment, unknown>, segment, path[depth - 1])
    if (name === undefined) return undefined
    written.push(name)
    at = (at as Record<PathSegment, unknown>)[name]
  }
  return written
}

function nameIn(
  fields: Record<PathSegment, unknown>,
  segment: PathSegment,
  parent: PathSegment | undefined,
): PathSegment | undefined {
  if (parent === 'nodes') return nodeEntries(fields).find(({ address }) => address === segment)?.at
  if (parent === 'credentials' && Array.isArray(fields)) {
    const index = fields.findIndex((credential) => String(credential?.id) === segment)
    return index === -1 ? undefined : index
  }
  if (Object.hasOwn(fields, segment)) return segment
  return writtenAs[segment]?.find((name) => Object.hasOwn(fields, name))
}
