import { TextTable } from './text-table.ts'

/** Host patterns of routes: `foo.com` exact, `*.foo.com` and `*foo.com` by suffix. Hosts are lower case throughout. */

/** Values by host pattern. */
export class HostTable<V> {
  readonly #exact = new TextTable<V>()
  readonly #suffixes = new TextTable<V>()
  readonly #countOfLength = new Map<number, number>()
  /** Lengths of the suffixes that there are, longest first. */
  #lengths: readonly number[] = []

  get(pattern: string): V | undefined {
    return isWildcard(pattern) ? this.#suffixes.get(pattern.slice(1)) : this.#exact.get(pattern)
  }

  set(pattern: string, value: V): void {
    if (!isWildcard(pattern)) {
      this.#exact.set(pattern, value)
      return
    }
    const suffix = pattern.slice(1)
    if (this.#suffixes.get(suffix) === undefined) this.#count(suffix.length, 1)
    this.#suffixes.set(suffix, value)
  }

  delete(pattern: string): void {
    if (!isWildcard(pattern)) {
      this.#exact.delete(pattern)
      return
    }
    const suffix = pattern.slice(1)
    if (this.#suffixes.get(suffix) === undefined) return
    this.#suffixes.delete(suffix)
    this.#count(suffix.length, -1)
  }

  exact(host: string): V | undefined {
    return this.#exact.get(host)
  }

  get suffixLengths(): readonly number[] {
    return this.#lengths
  }

  /** Value of the wildcard whose suffix are the last `length` characters of the host. */
  suffix(host: string, length: number): V | undefined {
    return length > host.length ? undefined : this.#suffixes.get(host.slice(host.length - length))
  }

  /** Every pattern with its value. */
  *entries(): Generator<[pattern: string, value: V]> {
    yield* this.#exact
    for (const [suffix, value] of this.#suffixes) yield [`*${suffix}`, value]
  }

  #count(length: number, change: number): void {
    const before = this.#countOfLength.get(length) ?? 0
    const after = before + change
    if (after === 0) this.#countOfLength.delete(length)
    else this.#countOfLength.set(length, after)
    if (before === 0 || after === 0) this.#lengths = [...this.#countOfLength.keys()].sort((a, b) => b - a)
  }
}

export function hostMatches(pattern: string, host: string): boolean {
  return isWildcard(pattern) ? host.endsWith(pattern.slice(1)) : host === pattern
}

function isWildcard(pattern: string): boolean {
  return pattern.startsWith('*')
}
