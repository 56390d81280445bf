/** An answer that is stored: what is known of it, and what clients get of it. */
import { STATUS_CODES } from 'node:http'
import type { Relay, Verdict } from '../../../proxy/exchange.ts'
import type { StoredEntry } from '../../../proxy/shared/cache-store.ts'
import { matchesEtag, type Part, partOf } from './conditions.ts'
import { parseHttpDate } from './http-date.ts'

/** What is known of a stored answer; it is kept as JSON. */
export interface Known {
  readonly status: number
  /** Field lines, each with its end, without Content-Length and Age; one character a byte. */
  readonly fields: string
  /** When it came, epoch milliseconds. */
  readonly at: number
  /** Its age when it came, in seconds. */
  readonly age: number
  /** Milliseconds after `at` at which it stops being fresh. */
  readonly freshFor: number
  readonly etag: string
  readonly modified: string
  /** Seconds for which it may be used while it is asked again, and when that fails. */
  readonly whileRevalidating: number
  readonly ifError: number
  /** It must not be used once it is stale. */
  readonly mustRevalidate: boolean
  /** The answer to HEAD; its length, or empty. */
  readonly headLength?: string
}

/** What of a request decides which part of a stored answer it gets. */
export interface Asked {
  readonly isHead: boolean
  readonly noneMatch: string | undefined
  readonly modifiedSince: string | undefined
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

const pieceSize = 64 * 1024

/** The answer from the store. It closes the entry when it is done. @param now epoch milliseconds */
export function storedAnswer(known: Known, entry: StoredEntry, asked: Asked, now: number): Verdict {
  const { status, fields } = known
  const age = `Age: ${Math.floor(ageOf(known, now))}\r\n\r\n`
  if (isUnchanged(known, asked)) {
    return answer(304, `${withoutContent(fields)}${age}`, entry, 0, 0)
  }
  if (known.headLength !== undefined) {
    const length = known.headLength === '' ? '' : `Content-Length: ${known.headLength}\r\n`
    return answer(status, `${fields}${length}${age}`, entry, 0, 0)
  }
  const part = asked.isHead || status !== 200 ? 'whole' : partFor(known, entry.length, asked)
  if (part === 'whole') {
    return answer(status, `${fields}Content-Length: ${entry.length}\r\n${age}`, entry, 0, entry.length)
  }
  if (part === 'outside') {
    const lines = `Content-Range: bytes */${entry.length}\r\nContent-Length: 0\r\n`
    return answer(416, `${withoutContent(fields)}${lines}${age}`, entry, 0, 0)
  }
  const [from, to] = part
  const lines = `Content-Range: bytes ${from}-${to - 1}/${entry.length}\r\nContent-Length: ${to - from}\r\n`
  return answer(206, `${fields}${lines}${age}`, entry, from, to)
}

/** Seconds since its origin made or checked it (RFC 9111 4.2.3). */
export function ageOf(known: Known, now: number): number {
  return known.age + Math.max(0, now - known.at) / 1000
}

function answer(status: number, rest: string, entry: StoredEntry, from: number, to: number): Verdict {
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n${rest}`
  return { status, relay: new StoredBody(head, entry, from, to) }
}

class StoredBody implements Relay {
  readonly head: string
  readonly #entry: StoredEntry
  #at: number
  readonly #to: number

  constructor(head: string, entry: StoredEntry, from: number, to: number) {
    this.head = head
    this.#entry = entry
    this.#at = from
    this.#to = to
  }

  read(): Buffer | null {
    if (this.#at === this.#to) return null
    const from = this.#at
    this.#at = Math.min(this.#to, from + pieceSize)
    return this.#entry.read(from, this.#at)
  }

  close(): void {
    this.#entry.close()
  }
}

/** RFC 9110 13.2.2 for a request that a stored answer meets. */
function isUnchanged({ status, etag, modified }: Known, { noneMatch, modifiedSince }: Asked): boolean {
  if (status !== 200) return false
  if (noneMatch !== undefined) return matchesEtag(noneMatch, etag)
  const since = parseHttpDate(modifiedSince)
  const last = parseHttpDate(modified)
  return since !== undefined && last !== undefined && last <= since
}

function partFor({ etag, modified }: Known, length: number, { range, ifRange }: Asked): Part {
  if (range === undefined) return 'whole'
  // Only a strong validator says that the bytes are the same (RFC 9110 13.1.5).
  if (ifRange !== undefined) {
    const isSame = ifRange.startsWith('"') ? ifRange === etag : ifRange === modified
    if (!isSame || ifRange === '') return 'whole'
  }
  return partOf(range, length)
}

/** Fields that describe a body which is not sent. */
function withoutContent(fields: string): string {
  return fields.replace(/^content-(?!location:|security-policy)[^\r]*\r\n/gim, '')
}
