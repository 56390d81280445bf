/** What a route asks of a request beside host, path and method: the client's address and `vars`. */
import type { RouteSpec } from '../config/plan.ts'
import { AddressSet } from './addresses.ts'
import { checkedExpression, compileWith } from './expression.ts'
import type { Lookup, LookupValues } from './lookup.ts'

/** Undefined when the route asks for nothing more. Throws on a condition that the check of the plan would have refused. */
export function routeCondition(
  { remote_addrs, vars }: Pick<RouteSpec, 'remote_addrs' | 'vars'>,
  values: LookupValues,
): ((lookup: Lookup) => boolean) | undefined {
  const addresses = remote_addrs === undefined ? undefined : new AddressSet(remote_addrs)
  const condition = vars === undefined ? undefined : compileWith(checkedExpression(vars), values.of)
  if (addresses === undefined) return condition
  if (condition === undefined) return (x) => addresses.has(x.exchange.client.address)
  return (x) => addresses.has(x.exchange.client.address) && condition(x)
}
