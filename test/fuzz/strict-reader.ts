/** The harness's own strict reader in the form of the comparison. */
import { type Message, MessageReader } from '../harness/message-reader.ts'
import type { Kind, ReadMessage } from './reading.ts'

export interface StrictReading {
  messages: ReadMessage[]
  /** For each message: what makes it, or one before it, ambiguous. */
  doubts: string[][]
}

export function readStrictly(kind: Kind, bytes: Buffer): StrictReading {
  const messages: ReadMessage[] = []
  const doubts: string[][] = []
  const reader = new MessageReader(kind, {
    onComplete: (message) => {
      messages.push(asRead(message))
      doubts.push(reader.ambiguities.map((finding) => `${finding.rule} ${finding.detail}`))
    },
    onInterim: (message) => {
      messages.push(asRead(message))
      doubts.push(reader.ambiguities.map((finding) => `${finding.rule} ${finding.detail}`))
    },
  })
  reader.push(bytes)
  reader.end()
  return { messages, doubts }
}

function asRead(message: Message): ReadMessage {
  const isRequest = message.status === 0
  const pairs = (fields: Message['fields']) =>
    fields.map(({ name, value }): [string, string] => [name, value])
  return {
    start: isRequest ? `${message.method} ${message.target}` : `${message.status} ${message.reason}`,
    minor: Number(message.version.at(-1)),
    fields: pairs(message.fields),
    body: message.body.toString('latin1'),
    trailers: pairs(message.trailers),
  }
}
