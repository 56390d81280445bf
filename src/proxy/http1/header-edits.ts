/** Changes to a head that is still to be written: whole lines, with the names that they replace. */
import type { HeaderEdits as Edits, HeaderBlock, HeaderName } from '../exchange.ts'
import { checkedValue, headerName, writableName } from '../headers.ts'
import type { Head } from './head.ts'

interface Lines {
  /** The only name of these lines; null when they are a block. */
  readonly name: HeaderName | null
  /** The names of a block. */
  readonly names: readonly HeaderName[]
  /** Also takes the place of fields that are there already. */
  readonly replaces: boolean
  text: string
}

const noNames: readonly HeaderName[] = []

export class HeaderEdits implements Edits {
  private readonly entries: Lines[] = []

  set(name: HeaderName | string, value: string | number): void {
    const field = writableName(name)
    this.put(field, true, line(field, value))
  }

  add(name: HeaderName | string, value: string | number): void {
    const field = writableName(name)
    this.entries.push({ name: field, names: noNames, replaces: false, text: line(field, value) })
  }

  /** A field that the engine writes stays. */
  remove(name: HeaderName | string): void {
    const field = typeof name === 'string' ? headerName(name) : name
    if (!field.isReserved) this.put(field, true, '')
  }

  setBlock(block: HeaderBlock): void {
    if (this.entries.length > 0) for (const name of block.names) this.forget(name)
    this.entries.push({ name: null, names: block.names, replaces: true, text: block.text })
  }

  /** Values of a field that these edits will write; empty when they say nothing of it. */
  values(lower: string): string[] {
    const found: string[] = []
    for (const entry of this.entries) {
      if (!speaksOf(entry, lower)) continue
      eachLine(entry.text, (name, value) => {
        if (name.toLowerCase() === lower) found.push(value)
      })
    }
    return found
  }

  /** Whether these edits set, add or remove a field of that name. */
  speaksOf(lower: string): boolean {
    for (const entry of this.entries) if (speaksOf(entry, lower)) return true
    return false
  }

  /** Whether they take the place of fields of that name that are there already. */
  replaces(lower: string): boolean {
    for (const entry of this.entries) if (entry.replaces && speaksOf(entry, lower)) return true
    return false
  }

  /** Whether they say something of the fields that tell the upstream who the client is. */
  tellsOfClient(): boolean {
    for (const { name, names } of this.entries) {
      if (name !== null) {
        if (name.tellsOfClient) return true
      } else for (const named of names) if (named.tellsOfClient) return true
    }
    return false
  }

  /** Visits every line that will be written. */
  forEach(visit: (name: string, value: string) => void): void {
    for (const entry of this.entries) eachLine(entry.text, visit)
  }

  /** Drops from `head` what these edits replace. */
  dropFrom(head: Head): void {
    for (const entry of this.entries) {
      if (!entry.replaces) continue
      if (entry.name !== null) head.dropNamed(entry.name.lower, entry.name.hash)
      else for (const name of entry.names) head.dropNamed(name.lower, name.hash)
    }
  }

  /** The lines to write, each ending with CRLF. */
  text(): string {
    let text = ''
    for (const entry of this.entries) text += entry.text
    return text
  }

  private put(name: HeaderName, replaces: boolean, text: string): void {
    if (this.entries.length > 0) this.forget(name)
    this.entries.push({ name, names: noNames, replaces, text })
  }

  private forget(name: HeaderName): void {
    for (let i = this.entries.length - 1; i >= 0; i--) {
      const entry = this.entries[i] as Lines
      if (!speaksOf(entry, name.lower)) continue
      if (entry.name !== null) this.entries.splice(i, 1)
      else entry.text = without(entry.text, name.lower)
    }
  }
}

function speaksOf(entry: Lines, lower: string): boolean {
  if (entry.name !== null) return entry.name.lower === lower
  for (let i = 0; i < entry.names.length; i++) if ((entry.names[i] as HeaderName).lower === lower) return true
  return false
}

function line(name: HeaderName, value: string | number): string {
  return `${name.text}: ${typeof value === 'number' ? value : checkedValue(name, value)}\r\n`
}

function eachLine(text: string, visit: (name: string, value: string) => void): void {
  for (const entry of text.split('\r\n')) {
    const colon = entry.indexOf(':')
    if (colon > 0) visit(entry.slice(0, colon), entry.slice(colon + 2))
  }
}

function without(text: string, lower: string): string {
  let kept = ''
  eachLine(text, (name, value) => {
    if (name.toLowerCase() !== lower) kept += `${name}: ${value}\r\n`
  })
  return kept
}
