/** Fields of a parsed head as policies see them, with edits on top for the request's upstream copy. */
import type { HeaderBlock, HeaderName, HeaderView, RequestHeaders } from '../exchange.ts'
import { headerName, knownHash } from '../headers.ts'
import type { Head } from './head.ts'
import { HeaderEdits } from './header-edits.ts'

/** Read-only view. After `close` it is empty, because the head behind it is filled again for the next message. */
export class HeadFields implements HeaderView {
  protected head: Head | null

  constructor(head: Head | null) {
    this.head = head
  }

  close(): void {
    this.head = null
  }

  get(name: string): string | undefined {
    const head = this.head
    if (head === null) return undefined
    const n = head.find(name, knownHash(name))
    return n < 0 ? undefined : head.value(n)
  }

  getAll(name: string): string | undefined {
    const head = this.head
    if (head === null) return undefined
    const hash = knownHash(name)
    let all: string | undefined
    for (let n = head.find(name, hash); n >= 0; n = head.findFrom(n + 1, name, hash)) {
      all = all === undefined ? head.value(n) : `${all}, ${head.value(n)}`
    }
    return all
  }

  has(name: string): boolean {
    return this.head !== null && this.head.find(name, knownHash(name)) >= 0
  }

  forEach(visit: (name: string, value: string) => void): void {
    const head = this.head
    if (head === null) return
    for (let n = 0; n < head.count; n++) if (!head.isDropped(n)) visit(head.name(n), head.value(n))
  }
}

export const noFields = new HeadFields(null)

/** The request's fields: what the client sent, with the edits that its upstream copy will carry. */
export class RequestFields extends HeadFields implements RequestHeaders {
  /** Null until a policy changes something. */
  edits: HeaderEdits | null = null

  override get(name: string): string | undefined {
    const sent = super.get(name)
    return sent !== undefined || this.edits === null ? sent : this.edits.values(name)[0]
  }

  override getAll(name: string): string | undefined {
    const sent = super.getAll(name)
    const edited = this.edits?.values(name)
    if (edited === undefined || edited.length === 0) return sent
    return sent === undefined ? edited.join(', ') : `${sent}, ${edited.join(', ')}`
  }

  override has(name: string): boolean {
    return super.has(name) || (this.edits !== null && this.edits.values(name).length > 0)
  }

  override forEach(visit: (name: string, value: string) => void): void {
    super.forEach(visit)
    this.edits?.forEach(visit)
  }

  sent(name: string): string | undefined {
    const head = this.head
    if (head === null) return undefined
    const n = head.findSent(name, knownHash(name))
    return n < 0 ? undefined : head.value(n)
  }

  set(name: HeaderName | string, value: string | number): void {
    this.edit().set(name, value)
    this.dropSent(name)
  }

  add(name: HeaderName | string, value: string | number): void {
    this.edit().add(name, value)
  }

  /** A field that the engine writes stays. */
  remove(name: HeaderName | string): void {
    const field = typeof name === 'string' ? headerName(name) : name
    if (field.isReserved) return
    // What the engine would add by itself has to be known to be unwanted.
    if (field.lower.startsWith('x-forwarded-')) this.edit().remove(field)
    else this.edits?.remove(field)
    this.dropSent(field)
  }

  setBlock(block: HeaderBlock): void {
    this.edit().setBlock(block)
    for (const name of block.names) this.dropSent(name)
  }

  private edit(): HeaderEdits {
    this.edits ??= new HeaderEdits()
    return this.edits
  }

  private dropSent(name: HeaderName | string): void {
    if (typeof name === 'string') {
      const lower = name.toLowerCase()
      this.head?.dropNamed(lower, knownHash(lower))
    } else this.head?.dropNamed(name.lower, name.hash)
  }
}
