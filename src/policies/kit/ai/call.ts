/** The request to a language model that an exchange leads to, as policies of this family share it. */
import type { Exchange } from '../../../proxy/exchange.ts'
import type { Json } from './chat.ts'
import type { Usage } from './usage.ts'

export interface ModelCall {
  readonly body: Json
  /** Names of the instances that may be asked, in the order of their turn; the first is asked. */
  instances: string[]
  /** One whose limit is reached may be left out. */
  readonly avoidsLimits: boolean
  /** Of the answer, as far as it came. */
  usage: Usage | undefined
}

const calls = new WeakMap<Exchange, ModelCall>()

export function modelCall(exchange: Exchange): ModelCall | undefined {
  return calls.get(exchange)
}

export function setModelCall(exchange: Exchange, call: ModelCall): void {
  calls.set(exchange, call)
}
