/** What consistent hashing hashes of a request: `hash_on` and `key` of an upstream, read once when a plan is built. */
import type { UpstreamSpec } from '../../config/plan.ts'
import type { Exchange } from '../exchange.ts'
import { compileTemplate, compileVariable, templateVariables, type Variable } from '../variables.ts'

type HashSource = Pick<UpstreamSpec['hash'], 'on' | 'key'>

/** Never empty: requests without the value are told apart by the address of their client, as in APISIX. */
export function compileHashKey(hash: HashSource): (exchange: Exchange) => string {
  const value = hashedValue(hash)
  return (exchange) => value(exchange) || exchange.client.address
}

function hashedValue({ on, key }: HashSource): Variable {
  switch (on) {
    case 'consumer':
      return compileVariable('consumer_name')
    case 'header':
      return compileVariable(`http_${key}`)
    case 'cookie':
      return compileVariable(`cookie_${key}`)
    case 'vars_combinations':
      return combination(key)
    default:
      return compileVariable(key)
  }
}

/** Undefined when the request has none of the variables, whatever else the template says. */
function combination(template: string): Variable {
  const variables = templateVariables(template).map(compileVariable)
  const fill = compileTemplate(template)
  return (exchange) =>
    variables.some((variable) => variable(exchange) !== undefined) ? fill(exchange) : undefined
}
