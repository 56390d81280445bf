/** JSON Patch (RFC 6902), as API7 takes it. */
import { copy, equal } from './copy.ts'

export class PatchProblem extends Error {}

interface Operation {
  op: string
  path: string[]
  from: string[]
  value: unknown
}

/** The patched value; what is given stays as it is. @throws `PatchProblem` */
export function applyJsonPatch(value: unknown, patch: readonly unknown[]): unknown {
  const root = { value: copy(value) }
  patch.forEach((item, index) => {
    try {
      apply(root, readOperation(item))
    } catch (error) {
      if (!(error instanceof PatchProblem)) throw error
      throw new PatchProblem(`operation ${index + 1}: ${error.message}`)
    }
  })
  return root.value
}

function apply(root: { value: unknown }, { op, path, from, value }: Operation): void {
  switch (op) {
    case 'add':
      add(root, path, value)
      break
    case 'remove':
      remove(root, path)
      break
    case 'replace':
      remove(root, path)
      add(root, path, value)
      break
    case 'move':
      if (from.length < path.length && from.every((segment, index) => segment === path[index])) {
        throw new PatchProblem('a value cannot be moved into itself')
      }
      add(root, path, remove(root, from))
      break
    case 'copy':
      add(root, path, copy(find(root, from)))
      break
    case 'test':
      if (!equal(find(root, path), value)) throw new PatchProblem('the test fails')
      break
    default:
      throw new PatchProblem(`there is no operation ${op}`)
  }
}

function readOperation(item: unknown): Operation {
  if (typeof item !== 'object' || item === null) throw new PatchProblem('it is not an object')
  const { op, path, from = '', value } = item as Record<string, unknown>
  if (typeof op !== 'string' || typeof path !== 'string' || typeof from !== 'string') {
    throw new PatchProblem('op and path are required, and are strings')
  }
  if (['add', 'replace', 'test'].includes(op) && !('value' in (item as object))) {
    throw new PatchProblem('value is required')
  }
  return { op, path: pointer(path), from: pointer(from), value }
}

/** RFC 6901. The value stands below one more segment, so that the whole of it can be replaced too. */
function pointer(text: string): string[] {
  if (text !== '' && !text.startsWith('/')) throw new PatchProblem(`${text} is no JSON pointer`)
  const segments = text.split('/').slice(1)
  return ['value', ...segments.map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))]
}

type Holder = Record<string, unknown> | unknown[]

/** What holds the last segment. */
function holderOf(root: object, path: readonly string[]): Holder {
  const holder = path.slice(0, -1).reduce<unknown>((at, segment) => member(at, segment), root)
  if (typeof holder !== 'object' || holder === null)
    throw new PatchProblem(`there is nothing at /${shown(path.slice(0, -1))}`)
  return holder as Holder
}

function member(at: unknown, segment: string): unknown {
  if (Array.isArray(at)) return at[place(segment, at.length - 1)]
  if (typeof at !== 'object' || at === null || !Object.hasOwn(at, segment)) {
    throw new PatchProblem(`there is no ${segment}`)
  }
  return (at as Record<string, unknown>)[segment]
}

const find = (root: object, path: readonly string[]) => path.reduce<unknown>(member, root)

function add(root: object, path: readonly string[], value: unknown): void {
  const holder = holderOf(root, path)
  const last = path.at(-1)!
  if (last === '__proto__') throw new PatchProblem('the key `__proto__` is not allowed')
  if (Array.isArray(holder))
    holder.splice(last === '-' ? holder.length : place(last, holder.length), 0, value)
  else holder[last] = value
}

function remove(root: object, path: readonly string[]): unknown {
  const holder = holderOf(root, path)
  const last = path.at(-1)!
  const removed = member(holder, last)
  if (Array.isArray(holder)) holder.splice(place(last, holder.length - 1), 1)
  else delete holder[last]
  return removed
}

/** A position in a list, up to `highest`. */
function place(segment: string, highest: number): number {
  if (!/^(0|[1-9]\d*)$/.test(segment) || Number(segment) > highest) {
    throw new PatchProblem(`there is no place ${segment} in the list`)
  }
  return Number(segment)
}

const shown = (path: readonly string[]) => path.slice(1).join('/')
