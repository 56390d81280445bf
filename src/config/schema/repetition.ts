/** Up to this length a list is searched with what it is; beyond, maps pay. */
const short = 32

/** Indexes of the first item of a list that repeats another, and of that other one. Nesting costs no stack. */
export function firstRepetition(items: readonly unknown[]): { earlier: number; later: number } | undefined {
  if (items.length <= short && !items.some(isCompound)) {
    for (let later = 1; later < items.length; later++) {
      const earlier = items.indexOf(items[later])
      if (earlier < later) return { earlier, later }
    }
    return undefined
  }
  const scalars = new Map<unknown, number>()
  const alike = new Map<string, number[]>()
  for (let later = 0; later < items.length; later++) {
    const item = items[later]
    if (!isCompound(item)) {
      const earlier = scalars.get(item)
      if (earlier !== undefined) return { earlier, later }
      scalars.set(item, later)
      continue
    }
    const key = outline(item)
    const candidates = alike.get(key)
    const earlier = candidates?.find((index) => same(items[index], item))
    if (earlier !== undefined) return { earlier, later }
    if (candidates === undefined) alike.set(key, [later])
    else candidates.push(later)
  }
  return undefined
}

const isCompound = (value: unknown): value is object => typeof value === 'object' && value !== null

/** Equal for equal values, and for few others: a long list of maps is compared with the few that look like each. */
function outline(value: object): string {
  const parts = Object.entries(value).map(([key, inner]) => {
    if (typeof inner !== 'object' || inner === null) return `${key}:${typeof inner}${inner === 0 ? 0 : inner}`
    return `${key}:${Array.isArray(inner) ? '[' : '{'}${Object.keys(inner).length}`
  })
  return (Array.isArray(value) ? '[' : '{') + (Array.isArray(value) ? parts : parts.sort()).join()
}

/** Whether two values out of JSON are equal, whatever the order of their keys. */
function same(one: unknown, other: unknown): boolean {
  const pairs: unknown[] = [one, other]
  while (pairs.length > 0) {
    const b = pairs.pop()
    const a = pairs.pop()
    if (a === b) continue
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
    if (Array.isArray(a) !== Array.isArray(b)) return false
    const keys = Object.keys(a)
    if (keys.length !== Object.keys(b).length) return false
    for (const key of keys) {
      if (!Object.hasOwn(b, key)) return false
      pairs.push((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])
    }
  }
  return true
}
