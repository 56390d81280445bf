/**
 * Keys by prefix: radix trees that look only at the characters where their keys part ways (Patricia) and compare a whole
 * key once, at the end. All trees of a table share flat arrays, because at 100 000 routes a lookup costs what it misses in
 * the processor's caches: a step down reads one slot, and a key lies beside its value. A lookup allocates nothing.
 */

/** A node by its number; 0 is none. */
export type NodeId = number

export class PrefixForest<V> {
  #depths = new Int32Array(64)
  #parents = new Int32Array(64)
  #childCounts = new Int32Array(64)
  /** The children's numbers XORed: where one child is left, this is it, and no list of children is needed. */
  #childSums = new Int32Array(64)
  /** A key, which is everything from the root to the node, and its value alternately. */
  readonly #entries: (string | V | null)[] = ['', null]
  readonly #edges = new EdgeTable()
  readonly #free: NodeId[] = []

  /** The root of a new, empty tree. */
  plant(): NodeId {
    return this.#create('')
  }

  /** Gives back the root of a tree that is empty. */
  fell(root: NodeId): void {
    this.#release(root)
  }

  isEmpty(root: NodeId): boolean {
    return this.#childCounts[root] === 0 && this.value(root) === null
  }

  value(node: NodeId): V | null {
    return this.#entries[node * 2 + 1] as V | null
  }

  depth(node: NodeId): number {
    return this.#depths[node]!
  }

  /**
   * The deepest node of a tree that has a value and whose key `text` begins with; 0 when there is none.
   * `above` continues from there to shorter keys.
   */
  longest(root: NodeId, text: string): NodeId {
    let node = this.#edges.descend(root, text)
    while (node !== 0 && (this.value(node) === null || !text.startsWith(this.#key(node)))) {
      node = this.#parents[node]!
    }
    return node
  }

  /** The next node upwards that has a value; 0 when there is none. */
  above(node: NodeId): NodeId {
    let next = this.#parents[node]!
    while (next !== 0 && this.value(next) === null) next = this.#parents[next]!
    return next
  }

  /** The node of exactly this key, made when there is none. Keys are ASCII. */
  insert(root: NodeId, key: string): NodeId {
    let node = root
    while (this.#depths[node]! < key.length) {
      const child = this.#child(node, key)
      if (child === 0) {
        const leaf = this.#create(key)
        this.#attach(node, leaf)
        return leaf
      }
      const shared = sharedLength(key, this.#key(child), this.#depths[node]!)
      if (shared < this.#depths[child]!) {
        const fork = this.#create(key.slice(0, shared))
        this.#detach(node, child)
        this.#attach(node, fork)
        this.#attach(fork, child)
        node = fork
      } else {
        node = child
      }
    }
    return node
  }

  setValue(node: NodeId, value: V): void {
    this.#entries[node * 2 + 1] = value
  }

  /** Removes a node's value, and with it the nodes that only led there. Roots stay. */
  clear(node: NodeId): void {
    this.#entries[node * 2 + 1] = null
    this.#prune(node)
  }

  #prune(node: NodeId): void {
    const parent = this.#parents[node]!
    const children = this.#childCounts[node]!
    if (parent === 0 || this.value(node) !== null || children > 1) return
    const child = this.#childSums[node]!
    if (children === 1) this.#detach(node, child)
    this.#detach(parent, node)
    this.#release(node)
    if (children === 1) this.#attach(parent, child)
    else this.#prune(parent)
  }

  #key(node: NodeId): string {
    return this.#entries[node * 2] as string
  }

  #child(node: NodeId, key: string): NodeId {
    return this.#edges.get(edge(node, key.charCodeAt(this.#depths[node]!)))
  }

  #attach(parent: NodeId, child: NodeId): void {
    this.#edges.set(
      edge(parent, this.#key(child).charCodeAt(this.#depths[parent]!)),
      child,
      this.#depths[child]!,
    )
    this.#parents[child] = parent
    this.#childCounts[parent]!++
    this.#childSums[parent]! ^= child
  }

  #detach(parent: NodeId, child: NodeId): void {
    this.#edges.delete(edge(parent, this.#key(child).charCodeAt(this.#depths[parent]!)))
    this.#parents[child] = 0
    this.#childCounts[parent]!--
    this.#childSums[parent]! ^= child
  }

  #create(key: string): NodeId {
    const node = this.#free.pop() ?? this.#entries.length / 2
    if (node === this.#depths.length) this.#grow()
    this.#entries[node * 2] = flat(key)
    this.#entries[node * 2 + 1] = null
    this.#depths[node] = key.length
    return node
  }

  #release(node: NodeId): void {
    this.#entries[node * 2] = ''
    this.#free.push(node)
  }

  #grow(): void {
    this.#depths = doubled(this.#depths)
    this.#parents = doubled(this.#parents)
    this.#childCounts = doubled(this.#childCounts)
    this.#childSums = doubled(this.#childSums)
  }
}

/** Integers of a slot: a power of two, so that none lies across two lines of a cache. */
const slotSize = 4

/** Children by edge: open addressing with linear probing, at most half full. */
class EdgeTable {
  /** Of each slot: an edge, the child, and the length of its key. Edge 0 is a free slot. */
  #slots = new Int32Array(slotSize * 64)
  #shift = 32 - 6
  #size = 0

  get(edge: number): NodeId {
    const slots = this.#slots
    for (let at = this.#home(edge); slots[at] !== 0; at = this.#next(at)) {
      if (slots[at] === edge) return slots[at + 1]!
    }
    return 0
  }

  /** The node that is reached by going down as far as there are edges for the characters of `text`. */
  descend(root: NodeId, text: string): NodeId {
    const slots = this.#slots
    let node = root
    for (let depth = 0; depth < text.length; ) {
      const wanted = edge(node, text.charCodeAt(depth))
      let at = this.#home(wanted)
      while (slots[at] !== wanted && slots[at] !== 0) at = this.#next(at)
      if (slots[at] === 0) break
      node = slots[at + 1]!
      depth = slots[at + 2]!
    }
    return node
  }

  /** The edge must not be there yet. */
  set(edge: number, child: NodeId, depth: number): void {
    if (++this.#size * 2 * slotSize > this.#slots.length) this.#grow()
    this.#place(edge, child, depth)
  }

  /** The edge must be there. Those behind it move up, so that no probe ends too early. */
  delete(edge: number): void {
    const slots = this.#slots
    let hole = this.#home(edge)
    while (slots[hole] !== edge) hole = this.#next(hole)
    for (let at = this.#next(hole); slots[at] !== 0; at = this.#next(at)) {
      const distance = (at - this.#home(slots[at]!)) & (slots.length - 1)
      if (distance < ((at - hole) & (slots.length - 1))) continue
      slots.copyWithin(hole, at, at + slotSize)
      hole = at
    }
    slots[hole] = 0
    this.#size--
  }

  #place(edge: number, child: NodeId, depth: number): void {
    const slots = this.#slots
    let at = this.#home(edge)
    while (slots[at] !== 0) at = this.#next(at)
    slots[at] = edge
    slots[at + 1] = child
    slots[at + 2] = depth
  }

  /** Fibonacci hashing. */
  #home(edge: number): number {
    return (Math.imul(edge, 0x9e3779b1) >>> this.#shift) * slotSize
  }

  #next(at: number): number {
    return (at + slotSize) & (this.#slots.length - 1)
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Int32Array(old.length * 2)
    this.#shift--
    for (let at = 0; at < old.length; at += slotSize)
      if (old[at] !== 0) this.#place(old[at]!, old[at + 1]!, old[at + 2]!)
  }
}

/** A node's branch for a character, as one integer. A character beyond ASCII is taken for another one, which its key then belies. */
function edge(node: NodeId, code: number): number {
  return (node << 7) | (code & 0x7f)
}

function sharedLength(a: string, b: string, from: number): number {
  const end = Math.min(a.length, b.length)
  let i = from
  while (i < end && a.charCodeAt(i) === b.charCodeAt(i)) i++
  return i
}

/** A copy in one piece: V8 compares slices and concatenations several times slower, and keeps what they were cut from. */
function flat(key: string): string {
  return Buffer.from(key, 'latin1').toString('latin1')
}

function doubled(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}
