import { type ExchangeRequest, queryValues } from '../kit/index.ts'

/** Reads one value of a request; undefined: not there. */
export type RequestValue = (request: ExchangeRequest) => string | undefined

const lookup = /^#\[\s*attributes\.(headers|queryParams)\[\s*(?:'([^']+)'|"([^"]+)")\s*\]\s*\]$/

/**
 * Compiles `#[attributes.headers['name']]` and `#[attributes.queryParams['name']]`, with either kind of quotes.
 * Undefined: any other expression. A repeated query parameter has no value, because it would be up to the reader which.
 */
export function compileExpression(text: string): RequestValue | undefined {
  const match = lookup.exec(text.trim())
  if (!match) return undefined
  const name = match[2] ?? match[3]!
  if (match[1] === 'headers') {
    const lower = name.toLowerCase()
    return (request) => request.headers.get(lower)
  }
  return ({ query }) => {
    if (query === '') return undefined
    const values = queryValues(query, name)
    return values.length === 1 ? values[0] : undefined
  }
}
