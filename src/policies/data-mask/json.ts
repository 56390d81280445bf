import type { compileJsonPlaces } from '../kit/index.ts'
import type { Change } from './change.ts'

export interface JsonRule {
  readonly places: NonNullable<ReturnType<typeof compileJsonPlaces>>
  readonly change: Change
  /** What is no text is changed as well. */
  readonly takesAny: boolean
}

const removed = Symbol('removed')

/** The text with its values changed, one character a byte; null: it is no JSON that could be read. */
export function maskJson(body: string, rules: readonly JsonRule[]): string | null {
  try {
    const root: unknown = JSON.parse(Buffer.from(body, 'latin1').toString())
    for (const rule of rules) apply(rule, root)
    return Buffer.from(JSON.stringify(root)).toString('latin1')
  } catch {
    return null
  }
}

function apply({ places, change, takesAny }: JsonRule, root: unknown): void {
  const shortened = new Set<unknown[]>()
  for (const { holder, key } of places(root)) {
    const value = holder[key]
    if (!takesAny && typeof value !== 'string') continue
    const changed = change(typeof value === 'string' ? Buffer.from(value).toString('latin1') : '')
    if (changed !== null) holder[key] = Buffer.from(changed, 'latin1').toString()
    else if (Array.isArray(holder)) {
      holder[key as number] = removed
      shortened.add(holder)
    } else delete holder[key]
  }
  // Only now, so that the other places in a list stay where they are.
  for (const list of shortened) {
    const kept = list.filter((member) => member !== removed)
    list.length = 0
    for (const member of kept) list.push(member)
  }
}
