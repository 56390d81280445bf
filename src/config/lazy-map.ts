/** Maps whose values are made when they are first asked for, and then kept. */

abstract class NamedValues<V> implements ReadonlyMap<string, V> {
  abstract get(name: string): V | undefined
  abstract has(name: string): boolean
  abstract get size(): number
  /** Makes no value. */
  abstract keys(): MapIterator<string>

  *values(): MapIterator<V> {
    for (const name of this.keys()) yield this.get(name)!
  }

  *entries(): MapIterator<[string, V]> {
    for (const name of this.keys()) yield [name, this.get(name)!]
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries()
  }

  forEach(visit: (value: V, name: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [name, value] of this) visit(value, name, this)
  }
}

/** What stands several times has a label behind its name: `cors#2` is another `cors`. */
function withoutLabel(name: string): string {
  const at = name.indexOf('#')
  return at > 0 ? name.slice(0, at) : name
}

/** Of fixed names, beside which others may stand that come and go. Names may have labels. */
export class LazyMap<V> extends NamedValues<V> {
  readonly #names: ReadonlySet<string>
  readonly #make: (name: string) => V
  readonly #made = new Map<string, V>()
  #others: ReadonlyMap<string, V> = new Map()

  constructor(names: Iterable<string>, make: (name: string) => V) {
    super()
    this.#names = new Set(names)
    this.#make = make
  }

  /** What stands beside the fixed names. A name that is fixed keeps its value. */
  get others(): ReadonlyMap<string, V> {
    return this.#others
  }

  set others(others: ReadonlyMap<string, V>) {
    this.#others = others
  }

  get size(): number {
    return [...this.keys()].length
  }

  /** Whether the name is one of those that stay. */
  isFixed(name: string): boolean {
    return this.#names.has(name)
  }

  has(given: string): boolean {
    const name = withoutLabel(given)
    return this.#names.has(name) || this.#others.has(name)
  }

  get(given: string): V | undefined {
    const name = withoutLabel(given)
    const known = this.#made.get(name)
    if (known !== undefined) return known
    if (!this.#names.has(name)) return this.#others.get(name)
    const value = this.#make(name)
    this.#made.set(name, value)
    return value
  }

  *keys(): MapIterator<string> {
    yield* this.#names
    for (const name of this.#others.keys()) if (!this.#names.has(name)) yield name
  }
}

/** The names of another map, as they are at any time, with a value that is made from each of its values. */
export class DerivedMap<S extends object, V> extends NamedValues<V> {
  readonly #source: ReadonlyMap<string, S>
  readonly #make: (source: S) => V
  readonly #made = new WeakMap<S, V>()

  constructor(source: ReadonlyMap<string, S>, make: (source: S) => V) {
    super()
    this.#source = source
    this.#make = make
  }

  get size(): number {
    return this.#source.size
  }

  has(name: string): boolean {
    return this.#source.has(name)
  }

  get(name: string): V | undefined {
    const source = this.#source.get(name)
    if (source === undefined) return undefined
    const known = this.#made.get(source)
    if (known !== undefined) return known
    const value = this.#make(source)
    this.#made.set(source, value)
    return value
  }

  keys(): MapIterator<string> {
    return this.#source.keys()
  }
}
