/** The two ways in which a PATCH of APISIX changes a resource. Both leave what they are given as it is. */

type Value = Record<string, unknown>

const isMap = (value: unknown): value is Value =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Maps are merged at every level, null removes, and anything else replaces what was there. */
export function mergePatch(value: Value, patch: Value): Value {
  const merged = { ...value }
  for (const [key, change] of Object.entries(patch)) {
    const before = merged[key]
    if (change === null) delete merged[key]
    else merged[key] = isMap(before) && isMap(change) ? mergePatch(before, change) : change
  }
  return merged
}

/** Sets what stands at a path; maps on the way are made where they are missing. */
export function setAtPath(
  value: Value,
  path: readonly string[],
  part: unknown,
): { value: Value } | { problem: string } {
  const root = { ...value }
  let at: Value = root
  for (const [index, name] of path.slice(0, -1).entries()) {
    const below = at[name] ?? {}
    if (typeof below !== 'object')
      return { problem: `invalid sub-path: /${path.slice(0, index + 1).join('/')}` }
    const copied = (Array.isArray(below) ? [...below] : { ...below }) as Value
    at[name] = copied
    at = copied
  }
  const last = path.at(-1)!
  if (part === null) delete at[last]
  else at[last] = part
  return { value: root }
}
