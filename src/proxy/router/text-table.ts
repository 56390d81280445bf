/**
 * Values by text, for texts that come fresh from the wire. V8 enters each of those into its table of all strings before
 * it looks it up in a Map, which at 1 000 hosts costs a request more than the lookup itself.
 */
export class TextTable<V> {
  #keys: (string | null)[] = new Array(16).fill(null)
  #values: (V | undefined)[] = new Array(16).fill(undefined)
  #size = 0

  get(key: string): V | undefined {
    const keys = this.#keys
    const mask = keys.length - 1
    for (let at = hash(key) & mask; keys[at] !== null; at = (at + 1) & mask)
      if (keys[at] === key) return this.#values[at]
    return undefined
  }

  set(key: string, value: V): void {
    if ((this.#size + 1) * 2 > this.#keys.length) this.#grow()
    const at = this.#slot(key)
    if (this.#keys[at] === null) this.#size++
    this.#keys[at] = key
    this.#values[at] = value
  }

  /** Those behind it move up, so that no probe ends too early. */
  delete(key: string): void {
    const keys = this.#keys
    const mask = keys.length - 1
    let hole = this.#slot(key)
    if (keys[hole] === null) return
    this.#size--
    for (let at = (hole + 1) & mask; keys[at] !== null; at = (at + 1) & mask) {
      const distance = (at - hash(keys[at]!)) & mask
      if (distance < ((at - hole) & mask)) continue
      keys[hole] = keys[at]!
      this.#values[hole] = this.#values[at]
      hole = at
    }
    keys[hole] = null
    this.#values[hole] = undefined
  }

  *[Symbol.iterator](): Generator<[key: string, value: V]> {
    for (const [at, key] of this.#keys.entries()) if (key !== null) yield [key, this.#values[at]!]
  }

  /** Where a key is, or would be. */
  #slot(key: string): number {
    const mask = this.#keys.length - 1
    let at = hash(key) & mask
    while (this.#keys[at] !== null && this.#keys[at] !== key) at = (at + 1) & mask
    return at
  }

  #grow(): void {
    const entries = [...this]
    this.#keys = new Array(this.#keys.length * 2).fill(null)
    this.#values = new Array(this.#keys.length).fill(undefined)
    for (const [key, value] of entries) {
      const at = this.#slot(key)
      this.#keys[at] = key
      this.#values[at] = value
    }
  }
}

/** FNV-1a, its high bits folded into the low ones. */
function hash(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return hash ^ (hash >>> 15)
}
