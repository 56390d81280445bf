/** `_meta.filter`: a policy that is skipped for some exchanges. One without a filter does not come by here. */
import type { Exchange, PolicyHandlers, Verdict } from './exchange.ts'
import type { Condition } from './expression.ts'

/** What one filter decided for one exchange. */
export interface FilterDecision {
  readonly condition: Condition
  readonly holds: boolean
}

/** The phases of a policy, all of them. */
export const phases = Object.keys({
  request: true,
  serve: true,
  send: true,
  requestBody: true,
  receive: true,
  shape: true,
  respond: true,
  responseBody: true,
  observe: true,
} satisfies Record<keyof PolicyHandlers, true>) as (keyof PolicyHandlers)[]

type Handler = (exchange: Exchange, shown: Buffer & Verdict) => never

/**
 * The handlers of a policy that runs where the condition holds. That is decided once per exchange, in the first phase
 * that the policy has, and stays so: what a policy began with a request it ends with the answer.
 */
export function filtered(handlers: PolicyHandlers, condition: Condition): PolicyHandlers {
  const guarded: Record<string, Handler> = {}
  for (const phase of phases) {
    if (handlers[phase] === undefined) continue
    const handler = handlers[phase].bind(handlers) as Handler
    guarded[phase] = (exchange, shown) =>
      holds(exchange, condition) ? handler(exchange, shown) : (undefined as never)
  }
  return guarded
}

function holds(exchange: Exchange, condition: Condition): boolean {
  exchange.filterDecisions ??= []
  // Chains have a handful of filters: a walk is cheaper than a map.
  for (const decision of exchange.filterDecisions) if (decision.condition === condition) return decision.holds
  const decision = { condition, holds: condition(exchange) }
  exchange.filterDecisions.push(decision)
  return decision.holds
}
