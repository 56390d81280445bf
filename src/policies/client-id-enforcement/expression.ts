import { expressionIn, expressionProblem, requestScope, textOrExpression } from '../kit/dataweave/index.ts'
import { type Exchange, queryValues } from '../kit/index.ts'

/** Reads one value of a request; undefined: not there. */
export type RequestValue = (exchange: Exchange) => string | undefined

const lookup = /^#\[\s*attributes\.(headers|queryParams)\[\s*(?:'([^']+)'|"([^"]+)")\s*\]\s*\]$/

/** What is wrong with an expression, in one sentence; undefined: nothing. */
export function requestValueProblem(text: string): string | undefined {
  if (expressionIn(text) === undefined) return 'must be an expression, #[...]'
  const problem = expressionProblem(text)
  if (problem !== undefined) return problem
  return textOrExpression(text).reads.payload ? 'the body is not read for it' : undefined
}

/**
 * Compiles an expression that `requestValueProblem` lets pass. `#[attributes.headers['name']]` and
 * `#[attributes.queryParams['name']]` are nearly all that there are, and are read without any detour. A repeated query
 * parameter has no value then, because it would be up to the reader which.
 */
export function compileExpression(text: string): RequestValue {
  const match = lookup.exec(text.trim())
  if (!match) return compileAny(text)
  const name = match[2] ?? match[3]!
  if (match[1] === 'headers') {
    const lower = name.toLowerCase()
    return ({ request }) => request.headers.get(lower)
  }
  return ({ request: { query } }) => {
    if (query === '') return undefined
    const values = queryValues(query, name)
    return values.length === 1 ? values[0] : undefined
  }
}

/** Credentials come with one character a byte. One that cannot be worked out is none. */
function compileAny(text: string): RequestValue {
  const expression = textOrExpression(text)
  return (exchange) => {
    try {
      return Buffer.from(expression.text(requestScope(exchange))).toString('latin1')
    } catch {
      return undefined
    }
  }
}
