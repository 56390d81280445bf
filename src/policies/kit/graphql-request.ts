/** GraphQL in requests: the document that a client asks to run, or what APISIX answers where there is none. */
import { parseTolerantJson } from '../../config/tolerant-json.ts'
import type { ExchangeRequest, Verdict } from '../../proxy/exchange.ts'
import { type GraphqlOperation, readGraphqlDocument } from '../../proxy/graphql.ts'
import { bodyLimits } from '../../proxy/held-body.ts'

export interface GraphqlRequest {
  /** Operations and fragments; at least one. */
  readonly definitions: readonly GraphqlOperation[]
  /** As the client sent it: the name of the operation that is to run. */
  readonly chosen: unknown
  /** The same: what its variables stand for. */
  readonly variables: unknown
}

interface Written {
  readonly document: string
  readonly chosen: unknown
  readonly variables: unknown
}

const refusal = (message: string): Verdict => ({ status: 400, body: { message } })
const nothing = refusal("Invalid graphql request: can't get graphql request body")
const notGraphql = refusal('Invalid graphql request: failed to parse graphql query')
const noDefinition = refusal('Invalid graphql request: empty graphql query')
const nil = (place: string) => refusal(`invalid graphql request, ${place}[query] is nil`)

/** By POST as `application/json` or `application/graphql`. @param body one character a byte */
export function postedGraphql(body: string | null, { headers }: ExchangeRequest): GraphqlRequest | Verdict {
  if (body === null || body === '') return nothing
  const type = headers.get('content-type') ?? ''
  const text = Buffer.from(body, 'latin1').toString()
  if (type.startsWith('application/json')) return definitionsOf(inJson(text))
  if (type.startsWith('application/graphql'))
    return definitionsOf({ document: text, chosen: undefined, variables: undefined })
  return refusal(`invalid graphql request, error content-type: ${type}`)
}

/** By GET, in the parameter `query`. A query that is larger than the settings let GraphQL be is as none. */
export function queriedGraphql({ query }: ExchangeRequest): GraphqlRequest | Verdict {
  if (query === '' || query.length > bodyLimits.graphql) return nothing
  const parameters = new URLSearchParams(query)
  const document = parameters.get('query')
  if (document === null) return nil('args')
  const chosen = parameters.get('operationName') ?? undefined
  return definitionsOf({ document, chosen, variables: undefined })
}

function inJson(text: string): Written | Verdict {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // What is wrong, in the words of APISIX's parser; what that one lets pass is refused all the same.
    const read = parseTolerantJson(text)
    return refusal(`invalid graphql request, ${'error' in read ? read.error : 'the body is not JSON'}`)
  }
  const { query, operationName, variables } = (value ?? {}) as Record<string, unknown>
  if (query === undefined || query === null) return nil('json body')
  return typeof query === 'string' ? { document: query, chosen: operationName, variables } : notGraphql
}

function definitionsOf(written: Written | Verdict): GraphqlRequest | Verdict {
  if ('status' in written) return written
  const definitions = readGraphqlDocument(written.document)
  if (definitions === undefined) return notGraphql
  return definitions.length === 0 ? noDefinition : { ...written, definitions }
}
