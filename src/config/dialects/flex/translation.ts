/**
 * One document with resources of the model, made from documents of another dialect. It knows for each of its parts where
 * that was written, so that findings and `explain` name the file, the line and the path that the operator knows.
 */
import type { SourceDocument } from '../../load.ts'
import type { LocatedPosition, Wanted } from '../../position.ts'
import { formatPath, type PathSegment } from '../../problem.ts'
import { below, type Place } from '../../report.ts'

type Path = readonly PathSegment[]

export class Translation {
  readonly #value: Record<string, unknown[]> = {}
  readonly #settings: Record<string, unknown> = {}
  /** By the text of a path in the made document. */
  readonly #origins = new Map<string, Place>()

  /** Adds a resource. @param parts places of its parts that were written elsewhere, by their paths in it */
  add(kind: string, resource: object, place: Place, parts: readonly (readonly [Path, Place])[] = []): void {
    const list = this.#value[kind] ?? []
    this.#value[kind] = list
    const path = [kind, list.length]
    list.push(resource)
    this.#origins.set(keyOf(path), place)
    for (const [part, origin] of parts) this.#origins.set(keyOf([...path, ...part]), origin)
  }

  /** Sets a field of `gateway`. */
  set(field: string, value: unknown, place: Place): void {
    this.#settings[field] = value
    this.#origins.set(keyOf(['gateway', field]), place)
    const root = keyOf(['gateway'])
    if (!this.#origins.has(root)) this.#origins.set(root, place)
  }

  /** Undefined: there is nothing in it. */
  document(file: string): SourceDocument | undefined {
    const value: Record<string, unknown> = { ...this.#value }
    if (Object.keys(this.#settings).length > 0) value.gateway = this.#settings
    if (Object.keys(value).length === 0) return undefined
    return { file, value, locate: (wanted) => this.#locate(wanted) }
  }

  #locate(wanted: readonly Wanted[]): (LocatedPosition | undefined)[] {
    const positions = new Array<LocatedPosition | undefined>(wanted.length)
    const places = wanted.map(({ path }, index) => ({ index, place: this.#originOf(path) }))
    const known = places.flatMap(({ index, place }) => (place === undefined ? [] : [{ index, place }]))
    for (const [document, parts] of Map.groupBy(known, ({ place }) => place.document)) {
      const found = document.locate(
        parts.map(({ index, place }) => ({ path: place.path, at: wanted[index]!.at })),
      )
      parts.forEach(({ index, place }, n) => {
        positions[index] = { ...found[n], file: document.file, path: formatPath(place.path) }
      })
    }
    return positions
  }

  /** What was written nearest to a path: a part of a resource that was made stands where the whole was written. */
  #originOf(path: Path): Place | undefined {
    for (let depth = path.length; depth > 0; depth--) {
      const origin = this.#origins.get(keyOf(path.slice(0, depth)))
      if (origin !== undefined) return written(origin, path.slice(depth))
    }
    return undefined
  }
}

/** As far as the path exists below the place. */
function written(place: Place, rest: Path): Place {
  let value: unknown = place.document.value
  for (const segment of place.path) value = (value as Record<PathSegment, unknown> | undefined)?.[segment]
  const found: PathSegment[] = []
  for (const segment of rest) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) break
    found.push(segment)
    value = (value as Record<PathSegment, unknown>)[segment]
  }
  return below(place, ...found)
}

function keyOf(path: Path): string {
  return JSON.stringify(path)
}
