import type { GraphqlOperation, GraphqlSelection } from '../kit/index.ts'

/** Selections one inside of the other; a document with more is refused rather than followed. */
const deepest = 1000

/**
 * How deep the selections of a document go, at least 1. A fragment counts as what it stands for; each is measured once,
 * so that one that is spread again and again costs nothing.
 * @returns undefined when fragments lead back to themselves
 */
export function depthOf(
  operations: readonly GraphqlOperation[],
  fragments: ReadonlyMap<string, GraphqlOperation>,
): number | undefined {
  const known = new Map<string, number>()
  /** Fragments that are being measured. */
  const open = new Set<string>()
  let isCyclic = false
  let level = 0

  function measure(selections: readonly GraphqlSelection[]): number {
    if (++level > deepest) isCyclic = true
    let depth = 0
    if (!isCyclic) for (const selection of selections) depth = Math.max(depth, measureOne(selection))
    level--
    return depth
  }

  function measureOne({ kind, name, selections }: GraphqlSelection): number {
    if (kind === 'inline') return measure(selections)
    if (kind === 'field') return selections.length === 0 ? 0 : 1 + measure(selections)
    const fragment = fragments.get(name)
    if (fragment === undefined) return 0
    const before = known.get(name)
    if (before !== undefined) return before
    if (open.has(name)) {
      isCyclic = true
      return 0
    }
    open.add(name)
    const depth = measure(fragment.selections)
    open.delete(name)
    known.set(name, depth)
    return depth
  }

  let depth = 1
  for (const { selections } of operations) depth = Math.max(depth, 1 + measure(selections))
  return isCyclic ? undefined : depth
}
