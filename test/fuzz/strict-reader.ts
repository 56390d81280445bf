/** The harness's own strict reader in the form of the comparison. */
import { type Finding, type Message, MessageReader } from '../harness/message-reader.ts'
import type { Kind, ReadMessage } from './reading.ts'

export interface StrictReading {
  messages: ReadMessage[]
  /** For each message: what makes it, or one before it, ambiguous. */
  doubts: string[][]
}

export function readStrictly(kind: Kind, bytes: Buffer): StrictReading {
  const messages: ReadMessage[] = []
  const doubts: string[][] = []
  const take = (message: Message) => {
    messages.push(asRead(message))
    doubts.push(reader.findings.filter(isDoubt).map(({ rule, detail }) => `${rule} ${detail}`))
  }
  const reader = new MessageReader(kind, { onComplete: take, onInterim: take })
  reader.push(bytes)
  reader.end()
  return { messages, doubts }
}

/** Controls move no border, but nothing that is accepted may hold one. */
function isDoubt({ severity, rule }: Finding): boolean {
  return severity === 'ambiguous' || rule.startsWith('control-in-')
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
