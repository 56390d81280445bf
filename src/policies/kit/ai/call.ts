/** The request to a language model that an exchange leads to, as policies of this family share it. */
import type { Exchange } from '../../../proxy/exchange.ts'
import type { AnswerReader } from './answer.ts'
import type { Json, Protocol } from './chat.ts'
import type { Reviewer } from './review.ts'

export interface ModelCall {
  /** Of the client; it is not changed. */
  readonly body: Json
  /** The same as it came, one character a byte. */
  readonly raw: string
  readonly protocol: Protocol
  readonly isStream: boolean
  /** Names of the instances that may be asked, in the order of their turn; the first is asked. */
  instances: string[]
  /** One whose limit is reached may be left out. */
  readonly avoidsLimits: boolean
  /** What came back, as far as it came; undefined: nothing that could be read. */
  answer: AnswerReader | undefined
  /** What was sent; undefined: nothing yet. */
  sent: Json | undefined
  /** The model that is asked; empty: nobody named one. */
  model: string
  /** Milliseconds from the last request to a service to the first of its answer and to its end; -1: not yet. */
  firstAfter: number
  endAfter: number
  /** Services that were asked, and what they answered with. */
  readonly attempts: { address: string; status: number }[]
  /** Who looks at the answer before the client does, one after the other. */
  readonly reviewers: Reviewer[]
  /** Takes the request that is under way out of the count; null: none is. */
  leave: (() => void) | null
}

const calls = new WeakMap<Exchange, ModelCall>()

export function modelCall(exchange: Exchange): ModelCall | undefined {
  return calls.get(exchange)
}

export function setModelCall(exchange: Exchange, call: ModelCall): void {
  calls.set(exchange, call)
}
