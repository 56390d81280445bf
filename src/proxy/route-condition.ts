/** What a route asks of a request beside host, path and method: the client's address and `vars`. */
import { parseExpression } from '../config/expression.ts'
import type { RouteSpec } from '../config/plan.ts'
import { AddressSet } from './addresses.ts'
import { type Condition, compileExpression } from './expression.ts'

/** Undefined when the route asks for nothing more. Throws on a condition that the check of the plan would have refused. */
export function routeCondition({ id, remote_addrs, vars }: RouteSpec): Condition | undefined {
  const addresses = remote_addrs === undefined ? undefined : new AddressSet(remote_addrs)
  const condition = vars === undefined ? undefined : expressionOf(vars, id)
  if (addresses === undefined) return condition
  if (condition === undefined) return (x) => addresses.has(x.client.address)
  return (x) => addresses.has(x.client.address) && condition(x)
}

function expressionOf(vars: unknown[], route: string): Condition {
  const result = parseExpression(vars)
  if ('problem' in result) throw new Error(`vars of route ${route}: ${result.problem}`)
  return compileExpression(result.expression)
}
