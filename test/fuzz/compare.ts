/**
 * The engine's reading of a stream beside llhttp's and the strict reader's.
 * The engine may refuse more than they do; what it accepts they accept, and read in the same way.
 */
import { EngineReader } from './engine-reader.ts'
import { Llhttp } from './llhttp.ts'
import { cutAt, type Kind, type ReadMessage } from './reading.ts'
import { readStrictly } from './strict-reader.ts'

const engine = new EngineReader()
const llhttp = new Llhttp()

/** @returns what is wrong, or null */
export function disagreement(kind: Kind, bytes: Buffer, cuts: readonly number[]): string | null {
  const ours = engine.read(kind, [bytes])
  const inPieces = engine.read(kind, cutAt(bytes, cuts))
  if (JSON.stringify(ours) !== JSON.stringify(inPieces)) {
    return `cut at ${cuts.join()} it reads ${show(inPieces)}, in one piece ${show(ours)}`
  }

  const theirs = llhttp.read(kind, bytes)
  for (const [index, message] of ours.messages.entries()) {
    if (isUnknownInterim(message)) return doubt(kind, bytes, ours.messages)
    const other = theirs.messages[index]
    if (other === undefined) {
      if (theirs.ended && endsForLlhttp(ours.messages[index - 1])) break
      return `accepted, ${theirs.refused ? 'refused' : 'not seen'} by llhttp: ${show(message)}`
    }
    if (!sameMessage(message, other)) return `read as ${show(message)}, by llhttp as ${show(other)}`
  }
  if (!ours.refused && !ours.ended && theirs.messages.length > ours.messages.length) {
    return `llhttp sees ${theirs.messages.length} messages, the engine ${ours.messages.length}`
  }

  return doubt(kind, bytes, ours.messages)
}

/** What the strict reader has against the messages. */
function doubt(kind: Kind, bytes: Buffer, messages: readonly ReadMessage[]): string | null {
  const strict = readStrictly(kind, bytes)
  for (const [index, message] of messages.entries()) {
    const other = strict.messages[index]
    if (other === undefined) return `accepted, unfinished for the strict reader: ${show(message)}`
    if (!sameMessage(message, other)) return `read as ${show(message)}, strictly as ${show(other)}`
    if (strict.doubts[index]!.length > 0) return `accepted in spite of ${strict.doubts[index]!.join(', ')}`
  }
  return null
}

/** llhttp ends a connection for what says nothing about ours: Proxy-Connection, a trailer, a 1xx. */
function endsForLlhttp(message: ReadMessage | undefined): boolean {
  if (message === undefined) return false
  const named = (fields: ReadMessage['fields'], wanted: RegExp) => fields.some(([name]) => wanted.test(name))
  const inTrailers = named(message.trailers, /^(proxy-)?connection$/i)
  return inTrailers || named(message.fields, /^proxy-connection$/i) || /^1\d\d /.test(message.start)
}

/** To llhttp only the 1xx that it knows have no body, to RFC 9112 section 6.3 none has: the strict reader judges alone. */
function isUnknownInterim({ start }: ReadMessage): boolean {
  return /^1\d\d /.test(start) && !/^10[0123] /.test(start)
}

function sameMessage(one: ReadMessage, other: ReadMessage): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

const show = (value: unknown): string => JSON.stringify(value).slice(0, 600)
