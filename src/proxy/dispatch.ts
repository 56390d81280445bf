/**
 * The request's way through the phases, whatever the protocol: route, first pass, consumer with what it brings, second
 * pass, forward.
 * A policy may be asynchronous at any point; when the client has gone meanwhile, the rest is not done.
 */

import type { PolicyChains } from './chains.ts'
import { clock } from './clock.ts'
import { errors, type GatewayError } from './errors.ts'
import type { Exchange, Verdict } from './exchange.ts'
import { type Answer, type Chain, type PipelineEvents, runPass } from './pipeline.ts'
import type { Binding } from './runtime.ts'

/** What a protocol engine offers for one exchange. */
export interface Conduct {
  readonly exchange: Exchange
  /** False once the exchange is over: answered, or its client gone. */
  readonly isOpen: boolean
  /** The policies that the exchange is in the hands of. Set here; another one once the consumer is known. */
  chain: Chain
  answer(verdict: Verdict, policy: string): void
  fail(error: GatewayError): void
  forward(binding: Binding): void
}

/** The engine, as far as dispatching needs it. */
export interface Dispatcher extends PipelineEvents {
  readonly runtime: { readonly chains: Pick<PolicyChains, 'global' | 'forConsumer'> }
}

/** Runs the chain of a binding, or the global policies alone when nothing matched (then the answer is 404). */
export function dispatch(conduct: Conduct, binding: Binding | null, engine: Dispatcher): void {
  const { exchange } = conduct
  const chain = binding === null ? engine.runtime.chains.global : binding.chain()
  conduct.chain = chain
  const first = chain.first === null ? null : runPass(chain.first, exchange, engine)
  if (first instanceof Promise) {
    first.then((answer) => {
      clock.tick()
      if (isWaiting(conduct, exchange)) afterFirst(conduct, binding, engine, answer)
      else letGo(answer)
    })
  } else afterFirst(conduct, binding, engine, first)
}

/** A late decision is about the exchange that it was made for, not about the next one of the same connection. */
function isWaiting(conduct: Conduct, exchange: Exchange): boolean {
  return conduct.isOpen && conduct.exchange === exchange
}

function afterFirst(
  conduct: Conduct,
  binding: Binding | null,
  engine: Dispatcher,
  answer: Answer | null,
): void {
  if (answer !== null) {
    end(conduct, answer)
    return
  }
  const { exchange } = conduct
  if (exchange.consumer !== null && binding !== null) {
    const chain = engine.runtime.chains.forConsumer(conduct.chain, exchange.consumer)
    conduct.chain = chain
    if (chain.late !== null) {
      const late = runPass(chain.late, exchange, engine)
      if (late instanceof Promise) {
        late.then((verdict) => {
          clock.tick()
          if (isWaiting(conduct, exchange)) afterLate(conduct, binding, engine, verdict)
          else letGo(verdict)
        })
      } else afterLate(conduct, binding, engine, late)
      return
    }
  }
  beginSecond(conduct, binding, engine)
}

function afterLate(
  conduct: Conduct,
  binding: Binding | null,
  engine: Dispatcher,
  answer: Answer | null,
): void {
  if (answer !== null) end(conduct, answer)
  else beginSecond(conduct, binding, engine)
}

function beginSecond(conduct: Conduct, binding: Binding | null, engine: Dispatcher): void {
  const { exchange, chain } = conduct
  const second = chain.second === null ? null : runPass(chain.second, exchange, engine)
  if (second instanceof Promise) {
    second.then((answer) => {
      clock.tick()
      if (isWaiting(conduct, exchange)) afterSecond(conduct, binding, engine, answer)
      else letGo(answer)
    })
  } else afterSecond(conduct, binding, engine, second)
}

function afterSecond(
  conduct: Conduct,
  binding: Binding | null,
  engine: Dispatcher,
  answer: Answer | null,
): void {
  const { exchange, chain } = conduct
  if (answer !== null || chain.serve === null) {
    afterServe(conduct, binding, answer)
    return
  }
  const served = runPass(chain.serve, exchange, engine)
  if (served instanceof Promise) {
    served.then((late) => {
      clock.tick()
      if (isWaiting(conduct, exchange)) afterServe(conduct, binding, late)
      else letGo(late)
    })
  } else afterServe(conduct, binding, served)
}

function afterServe(conduct: Conduct, binding: Binding | null, answer: Answer | null): void {
  if (answer !== null) end(conduct, answer)
  else if (binding === null) conduct.answer(routeNotFound, '')
  else conduct.forward(binding)
}

/** APISIX's own body for a request that no route takes. */
export const routeNotFound: Verdict = {
  status: errors.routeNotFound.status,
  body: '{"error_msg":"404 Route Not Found"}\n',
  contentType: 'text/plain; charset=utf-8',
}

function end(conduct: Conduct, answer: Answer): void {
  if (answer.error !== undefined) conduct.fail(answer.error)
  else conduct.answer(answer.verdict, answer.policy)
}

/** Nobody waits for the answer any more. */
function letGo(answer: Answer | null): void {
  answer?.verdict?.relay?.close()
}
