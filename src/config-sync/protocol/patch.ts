/**
 * The JSON Patch (RFC 6902) that leads from one value to another. Members of lists are told apart by their `id` or
 * `username`, so that one new route is one operation, wherever it stands.
 */
import { equal } from '../../config/copy.ts'

export type PatchOperation =
  | { op: 'add' | 'replace'; path: string; value: unknown }
  | { op: 'remove'; path: string }

export function patchBetween(before: unknown, after: unknown): PatchOperation[] {
  const operations: PatchOperation[] = []
  compare(before, after, '', operations)
  return operations
}

function compare(before: unknown, after: unknown, path: string, operations: PatchOperation[]): void {
  if (equal(before, after)) return
  if (Array.isArray(before) && Array.isArray(after)) compareLists(before, after, path, operations)
  else if (isObject(before) && isObject(after)) compareObjects(before, after, path, operations)
  else operations.push({ op: 'replace', path, value: after })
}

function compareObjects(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  path: string,
  operations: PatchOperation[],
): void {
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) operations.push({ op: 'remove', path: below(path, name) })
  }
  for (const [name, value] of Object.entries(after)) {
    if (!Object.hasOwn(before, name)) operations.push({ op: 'add', path: below(path, name), value })
    else compare(before[name], value, below(path, name), operations)
  }
}

/** What is equal at both ends stays; between them members are matched by name, in order. */
function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: string,
  operations: PatchOperation[],
): void {
  const shorter = Math.min(before.length, after.length)
  let start = 0
  while (start < shorter && equal(before[start], after[start])) start++
  let end = 0
  while (end < shorter - start && equal(before.at(-1 - end), after.at(-1 - end))) end++
  const old = before.slice(start, before.length - end)
  const wanted = after.slice(start, after.length - end)
  const names = new Set(wanted.map(nameOf).filter((name) => name !== undefined))
  const oldNames = new Set(old.map(nameOf).filter((name) => name !== undefined))

  let at = start
  let index = 0
  for (const value of wanted) {
    const name = nameOf(value)
    // What the new list does not name any more goes before its place is needed.
    while (index < old.length && name !== undefined && isGone(old[index], names)) {
      operations.push({ op: 'remove', path: below(path, at) })
      index++
    }
    const isNew = name !== undefined && !oldNames.has(name)
    if (index >= old.length || isNew) operations.push({ op: 'add', path: below(path, at), value })
    else compare(old[index++], value, below(path, at), operations)
    at++
  }
  for (; index < old.length; index++) operations.push({ op: 'remove', path: below(path, at) })
}

function isGone(member: unknown, names: ReadonlySet<string>): boolean {
  const name = nameOf(member)
  return name !== undefined && !names.has(name)
}

function nameOf(member: unknown): string | undefined {
  if (!isObject(member)) return undefined
  const name = member.id ?? member.username
  return typeof name === 'string' || typeof name === 'number' ? String(name) : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** RFC 6901. */
function below(path: string, segment: string | number): string {
  return `${path}/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
