/**
 * The resources of the Admin API as they were written: in memory for whoever reads, and on a disk that a change reaches
 * before it is answered. One transaction at a time.
 */
import type { Disk, DiskChange, StoredFact, StoredResource } from './disk.ts'

export class Store {
  readonly #disk: Disk
  readonly #resources = new Map<string, Map<string, StoredResource>>()
  readonly #facts = new Map<string, string>()
  readonly #expiring = new Set<StoredResource>()
  #revision: number
  /** Of the transaction that is open, if one is: what the disk is to be told, and how to take it back. */
  #changes: DiskChange[] | undefined
  #undos: (() => void)[] = []

  constructor(disk: Disk) {
    this.#disk = disk
    for (const resource of disk.resources) this.#set(resource.kind, resource.id, resource)
    for (const { name, value } of disk.facts) this.#facts.set(name, value)
    this.#revision = Number(this.#facts.get('revision') ?? 0)
  }

  get revision(): number {
    return this.#revision
  }

  get(kind: string, id: string): StoredResource | undefined {
    return this.#resources.get(kind)?.get(id)
  }

  /** In the order of their ids. */
  list(kind: string): StoredResource[] {
    return [...this.#of(kind)].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** In the order in which they were created. `number` counts from 1. */
  page(kind: string, { number, size }: { number: number; size: number }): StoredResource[] {
    return [...this.#of(kind)].sort(byCreation).slice((number - 1) * size, number * size)
  }

  count(kind: string): number {
    return this.#resources.get(kind)?.size ?? 0
  }

  /** The revision of the last change among the resources of that kind; 0: there are none. */
  modified(kind: string): number {
    let last = 0
    for (const { modified } of this.#of(kind)) last = Math.max(last, modified)
    return last
  }

  kinds(): Iterable<string> {
    return this.#resources.keys()
  }

  /** In the order in which they were created. */
  all(): StoredResource[] {
    return [...this.#resources.values()].flatMap((resources) => [...resources.values()]).sort(byCreation)
  }

  /** Resources whose time was over at `now`, in epoch seconds. */
  due(now: number): StoredResource[] {
    return [...this.#expiring].filter(({ expires }) => expires !== null && expires <= now)
  }

  /** When the next resource's time is over, in epoch seconds. */
  nextExpiry(): number | undefined {
    let next: number | undefined
    for (const { expires } of this.#expiring) if (expires !== null && !(expires > next!)) next = expires
    return next
  }

  fact(name: string): string | undefined {
    return this.#facts.get(name)
  }

  get inTransaction(): boolean {
    return this.#changes !== undefined
  }

  begin(): void {
    const revision = this.#revision
    this.#changes = []
    this.#undos = [
      () => {
        this.#revision = revision
      },
    ]
  }

  /** Inside a transaction. A resource that is replaced keeps the revision at which it was created. */
  put(kind: string, id: string, value: string, expires: number | null): StoredResource {
    const modified = this.advance()
    const before = this.get(kind, id)
    const resource = { kind, id, value, created: before?.created ?? modified, modified, expires }
    this.#set(kind, id, resource)
    this.#changes!.push({ put: resource })
    this.#undos.push(() => this.#set(kind, id, before))
    return resource
  }

  /** Inside a transaction. */
  remove(kind: string, id: string): void {
    const before = this.get(kind, id)
    if (before === undefined) return
    this.advance()
    this.#set(kind, id, undefined)
    this.#changes!.push({ remove: { kind, id } })
    this.#undos.push(() => this.#set(kind, id, before))
  }

  /** Inside a transaction. */
  setFact(name: string, value: string): void {
    const before = this.#facts.get(name)
    this.#facts.set(name, value)
    this.#changes!.push({ fact: { name, value } })
    this.#undos.push(() => {
      if (before === undefined) this.#facts.delete(name)
      else this.#facts.set(name, before)
    })
  }

  /** Inside a transaction. @returns a revision that nothing else has */
  advance(): number {
    return ++this.#revision
  }

  /** What a transaction does from here on can be taken back without the rest of it, by `backTo`. */
  mark(): { changes: number; undos: number } {
    return { changes: this.#changes!.length, undos: this.#undos.length }
  }

  backTo({ changes, undos }: { changes: number; undos: number }): void {
    this.#changes!.length = changes
    for (const undo of this.#undos.splice(undos).reverse()) undo()
  }

  /** Resolves when all is on the disk. Rejects when it cannot be; the transaction is still open then. */
  async commit(): Promise<void> {
    this.setFact('revision', String(this.#revision))
    await this.#disk.write(this.#changes!)
    this.#changes = undefined
    this.#undos = []
  }

  rollback(): void {
    for (const undo of this.#undos.reverse()) undo()
    this.#changes = undefined
    this.#undos = []
  }

  async close(): Promise<void> {
    await this.#disk.close()
  }

  #of(kind: string): Iterable<StoredResource> {
    return this.#resources.get(kind)?.values() ?? []
  }

  #set(kind: string, id: string, resource: StoredResource | undefined): void {
    let resources = this.#resources.get(kind)
    const before = resources?.get(id)
    if (before !== undefined) this.#expiring.delete(before)
    if (resource === undefined) {
      resources?.delete(id)
      if (resources?.size === 0) this.#resources.delete(kind)
      return
    }
    if (resources === undefined) {
      resources = new Map()
      this.#resources.set(kind, resources)
    }
    resources.set(id, resource)
    if (resource.expires !== null) this.#expiring.add(resource)
  }
}

const byCreation = (a: StoredResource, b: StoredResource) => a.created - b.created

/** Keeps nothing: what is there is gone with the process. */
export const noDisk: Disk = {
  resources: [] as StoredResource[],
  facts: [] as StoredFact[],
  write: async () => {},
  close: async () => {},
}
