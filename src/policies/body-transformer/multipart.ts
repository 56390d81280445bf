/** Bodies in parts, as forms with files are sent (RFC 7578, RFC 2046). */
import type { Multipart, Value, ValueMap } from './values.ts'

interface Part {
  readonly name: string
  readonly head: readonly string[]
  readonly value: string
}

const mostParts = 1000

/** What is between the boundaries, as far as it has a name; line ends may be bare. */
export function readMultipart(body: string, contentType: string): { parts: Multipart; values: ValueMap } {
  const boundary = boundaryOf(contentType)
  const parts: Part[] = []
  if (boundary !== '') {
    // An end of a line belongs to the boundary after it.
    const pieces = `\n${body}`.split(`\n--${boundary}`)
    for (const piece of pieces.slice(1, mostParts + 1)) {
      if (piece.startsWith('--')) break
      const part = readPart(piece.replace(/^[ \t]*\r?\n/, '').replace(/\r$/, ''))
      if (part !== undefined) parts.push(part)
    }
  }
  return { parts: new MultipartBody(boundary, parts), values: valuesOf(parts) }
}

function boundaryOf(contentType: string): string {
  const [, quoted, bare] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? []
  return quoted ?? bare ?? ''
}

function readPart(text: string): Part | undefined {
  const end = /\r?\n\r?\n/.exec(text)
  if (end === null) return undefined
  const head = text.slice(0, end.index).split(/\r?\n/)
  const disposition = head.find((line) => /^content-disposition\s*:/i.test(line)) ?? ''
  const [, quoted, bare] = /;\s*name=(?:"([^"]*)"|([^\s;"]+))/i.exec(disposition) ?? []
  const name = quoted ?? bare
  return name === undefined ? undefined : { name, head, value: text.slice(end.index + end[0].length) }
}

function valuesOf(parts: readonly Part[]): ValueMap {
  const values = new Map<string, string | string[]>()
  for (const { name, value } of parts) {
    const before = values.get(name)
    values.set(name, before === undefined ? value : [before, value].flat())
  }
  return Object.fromEntries(values) as Record<string, Value>
}

class MultipartBody implements Multipart {
  readonly isMultipart = true
  readonly #boundary: string
  readonly #parts: Part[]

  constructor(boundary: string, parts: readonly Part[]) {
    this.#boundary = boundary
    this.#parts = [...parts]
  }

  set(name: string, value: string): void {
    const safe = name.replace(/["\r\n\0]/g, '')
    const part = { name: safe, head: [`Content-Disposition: form-data; name="${safe}"`], value }
    const at = this.#parts.findIndex((other) => other.name === safe)
    if (at === -1) this.#parts.push(part)
    else this.#parts[at] = part
  }

  remove(name: string): void {
    const kept = this.#parts.filter((part) => part.name !== name)
    this.#parts.splice(0, this.#parts.length, ...kept)
  }

  text(): string {
    const parts = this.#parts.map(
      ({ head, value }) => `--${this.#boundary}\r\n${head.join('\r\n')}\r\n\r\n${value}\r\n`,
    )
    return `${parts.join('')}--${this.#boundary}--\r\n`
  }
}
