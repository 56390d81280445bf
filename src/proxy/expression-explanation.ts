/** Why a condition does not hold for a request: which of its parts, and what the request has instead. */
import { parseExpression } from '../config/expression.ts'
import type { Exchange } from './exchange.ts'
import { compileExpression } from './expression.ts'
import { compileValue } from './variables.ts'

/** A condition as it is written, `vars` or `filter`, or a part of one. */
type Rule = readonly unknown[]

/** One sentence for each part that keeps the condition from holding; none when it holds. */
export function whyNot(condition: Rule, exchange: Exchange): string[] {
  return holds(condition, exchange) ? [] : reasons(condition, exchange)
}

function reasons(rule: Rule, exchange: Exchange): string[] {
  const logic = Array.isArray(rule[0]) ? 'AND' : String(rule[0]).toUpperCase()
  const members = (Array.isArray(rule[0]) ? rule : rule.slice(1)) as Rule[]
  switch (logic) {
    case 'AND':
      return members
        .filter((member) => !holds(wrapped(member), exchange))
        .flatMap((member) => reasons(member, exchange))
    case 'OR':
      return [`none of these: ${members.flatMap((member) => reasons(member, exchange)).join('; ')}`]
    case '!AND':
      return [`not all of these may hold: ${members.map((member) => JSON.stringify(member)).join('; ')}`]
    case '!OR': {
      const held = members.filter((member) => holds(wrapped(member), exchange))
      return held.map((member) => `${JSON.stringify(member)} may not hold, but does`)
    }
    default:
      return [comparison(rule, exchange)]
  }
}

function comparison(rule: Rule, exchange: Exchange): string {
  const name = String(rule[0])
  if (isSensitive(name)) return `the condition on ${name} does not hold; its value is not shown`
  const value = compileValue(name)(exchange)
  const is = value === undefined || value === null ? `there is no ${name}` : `${name} is ${shown(value)}`
  return `${JSON.stringify(rule)}: ${is}`
}

/** What clients prove who they are with: neither theirs nor what it is compared with belongs in an explanation. */
const sensitive =
  /^(?:http_authorization|http_proxy_authorization|http_cookie|cookie_.*|jwt_.*|.*(?:password|secret|token|api_?key|credential).*)$/i

function isSensitive(variable: string): boolean {
  return sensitive.test(variable)
}

const longestValue = 200

function shown(value: unknown): string {
  // Values of requests have one character a byte.
  const text = typeof value === 'string' ? Buffer.from(value, 'latin1').toString() : value
  const json = JSON.stringify(text)
  return json.length > longestValue ? `${json.slice(0, longestValue)}...` : json
}

/** A single comparison or combination, as a whole condition. */
function wrapped(rule: Rule): Rule {
  return Array.isArray(rule[0]) ? rule : [rule]
}

function holds(condition: Rule, exchange: Exchange): boolean {
  const read = parseExpression(condition)
  return 'expression' in read && compileExpression(read.expression)(exchange)
}
