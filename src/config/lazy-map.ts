/** A map of fixed names whose values are made when they are first asked for, and then kept. */
export class LazyMap<V> implements ReadonlyMap<string, V> {
  readonly #names: ReadonlySet<string>
  readonly #make: (name: string) => V
  readonly #made = new Map<string, V>()

  constructor(names: Iterable<string>, make: (name: string) => V) {
    this.#names = new Set(names)
    this.#make = make
  }

  get size(): number {
    return this.#names.size
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  get(name: string): V | undefined {
    const known = this.#made.get(name)
    if (known !== undefined || !this.#names.has(name)) return known
    const value = this.#make(name)
    this.#made.set(name, value)
    return value
  }

  /** Makes no value. */
  keys(): SetIterator<string> {
    return this.#names.keys()
  }

  *values(): MapIterator<V> {
    for (const name of this.#names) yield this.get(name)!
  }

  *entries(): MapIterator<[string, V]> {
    for (const name of this.#names) yield [name, this.get(name)!]
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries()
  }

  forEach(visit: (value: V, name: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [name, value] of this) visit(value, name, this)
  }
}
