/** Changes to a head that is still to be written: whole lines, with the names that they replace. */
import type { HeaderEdits as Edits, HeaderBlock, HeaderName } from '../exchange.ts'
import { checkedValue, headerName } from '../headers.ts'
import type { Head } from './head.ts'

interface Line {
  readonly names: readonly HeaderName[]
  /** Also takes the place of fields that are there already. */
  readonly replaces: boolean
  text: string
}

export class HeaderEdits implements Edits {
  private readonly lines: Line[] = []

  set(name: HeaderName | string, value: string | number): void {
    const field = typeof name === 'string' ? headerName(name) : name
    this.forget(field)
    this.lines.push({ names: [field], replaces: true, text: line(field, value) })
  }

  add(name: HeaderName | string, value: string | number): void {
    const field = typeof name === 'string' ? headerName(name) : name
    this.lines.push({ names: [field], replaces: false, text: line(field, value) })
  }

  remove(name: HeaderName | string): void {
    const field = typeof name === 'string' ? headerName(name) : name
    this.forget(field)
    this.lines.push({ names: [field], replaces: true, text: '' })
  }

  setBlock(block: HeaderBlock): void {
    if (this.lines.length > 0) for (const name of block.names) this.forget(name)
    this.lines.push({ names: block.names, replaces: true, text: block.text })
  }

  has(name: HeaderName): boolean {
    return this.lines.some((entry) => entry.text !== '' && entry.names.includes(name))
  }

  /** Values of a field that these edits will write; empty when they say nothing of it. */
  values(lower: string): string[] {
    const found: string[] = []
    for (const entry of this.lines) {
      if (!entry.names.some((name) => name.lower === lower)) continue
      for (const text of entry.text.split('\r\n')) {
        const colon = text.indexOf(':')
        if (colon > 0 && text.slice(0, colon).toLowerCase() === lower) found.push(text.slice(colon + 2))
      }
    }
    return found
  }

  replaces(lower: string): boolean {
    return this.lines.some((entry) => entry.replaces && entry.names.some((name) => name.lower === lower))
  }

  /** Visits every line that will be written. */
  forEach(visit: (name: string, value: string) => void): void {
    for (const entry of this.lines) {
      for (const text of entry.text.split('\r\n')) {
        const colon = text.indexOf(':')
        if (colon > 0) visit(text.slice(0, colon), text.slice(colon + 2))
      }
    }
  }

  /** Drops from `head` what these edits replace. */
  dropFrom(head: Head): void {
    for (const entry of this.lines) {
      if (!entry.replaces) continue
      for (const name of entry.names) head.dropNamed(name.lower, name.hash)
    }
  }

  /** The lines to write, each ending with CRLF. */
  text(): string {
    let text = ''
    for (const entry of this.lines) text += entry.text
    return text
  }

  private forget(name: HeaderName): void {
    for (let i = this.lines.length - 1; i >= 0; i--) {
      const entry = this.lines[i] as Line
      if (!entry.names.some((known) => known.lower === name.lower)) continue
      if (entry.names.length === 1) this.lines.splice(i, 1)
      else entry.text = without(entry.text, name.lower)
    }
  }
}

function line(name: HeaderName, value: string | number): string {
  return `${name.text}: ${typeof value === 'number' ? value : checkedValue(name, value)}\r\n`
}

function without(text: string, lower: string): string {
  let kept = ''
  for (const entry of text.split('\r\n')) {
    if (entry !== '' && entry.slice(0, entry.indexOf(':')).toLowerCase() !== lower) kept += `${entry}\r\n`
  }
  return kept
}
