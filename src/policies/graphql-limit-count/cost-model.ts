/** What a service says that parts of its GraphQL schema cost. */
import type { CostDecorationSpec } from '../kit/index.ts'

/** A place in the schema: a type, and the fields that lead on from it. */
export interface CostPlace {
  readonly children: Map<string, CostPlace>
  /** Of the path that ends here. */
  weight: CostDecorationSpec | undefined
  readonly depth: number
}

const models = new WeakMap<readonly CostDecorationSpec[], CostPlace>()

/** The places by their type. Made once for each list. */
export function costModelOf(decorations: readonly CostDecorationSpec[]): CostPlace {
  let root = models.get(decorations)
  if (root === undefined) {
    root = place(0)
    for (const decoration of decorations) enter(root, decoration)
    models.set(decorations, root)
  }
  return root
}

const place = (depth: number): CostPlace => ({ children: new Map(), weight: undefined, depth })

function enter(root: CostPlace, decoration: CostDecorationSpec): void {
  let at = root
  for (const name of decoration.field_path.split('.')) {
    let next = at.children.get(name)
    if (next === undefined) {
      next = place(at.depth + 1)
      at.children.set(name, next)
    }
    at = next
  }
  at.weight = decoration
}

const undecorated: CostDecorationSpec = { field_path: '', add_value: 1, mul_value: 1 }

/** Where several paths lead to one field, the longer one has the last word on each of its members. */
export function weightAt(places: readonly CostPlace[]): CostDecorationSpec {
  const found = places.filter(({ weight }) => weight !== undefined)
  if (found.length < 2) return found[0]?.weight ?? undecorated
  return Object.assign({}, ...found.sort((a, b) => a.depth - b.depth).map(({ weight }) => weight))
}
