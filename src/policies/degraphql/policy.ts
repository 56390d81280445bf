import {
  definePolicy,
  type Exchange,
  headerName,
  openInApisix,
  queryValues,
  readGraphqlDocument,
  Type,
  type Verdict,
} from '../kit/index.ts'

const contentType = headerName('Content-Type')
const methodNotAllowed: Verdict = { status: 405 }
const badRequest: Verdict = { status: 400 }

/** A GraphQL query behind a plain URI; configuration and behaviour of APISIX's `degraphql`. */
export default definePolicy({
  name: 'degraphql',
  summary: 'Sends a GraphQL query of the configuration to the upstream, with variables from the request.',
  details:
    'A GET request brings its variables in the query, a POST request in a JSON body; others are answered with 405. A ' +
    'body that is no JSON map is answered with 400, one that is too large with 413.',
  stage: 'authorize',
  priority: 509,
  config: Type.Object(
    {
      query: Type.String({ minLength: 1, maxLength: 1024, description: 'The GraphQL document.' }),
      variables: Type.Optional(
        Type.Array(Type.String(), {
          minItems: 1,
          description: 'Names of variables to take from the request.',
        }),
      ),
      operation_name: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 1024,
          description: 'The operation that is meant, where the document has several.',
        }),
      ),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a body that is read.',
      }),
    },
    openInApisix,
  ),
  validate({ query, operation_name: operation }) {
    const document = readGraphqlDocument(query)
    if (document === undefined || document.length === 0)
      return 'failed to parse query: it is no GraphQL document'
    return document.length > 1 && operation === undefined
      ? 'operation_name is required if multiple operations are present in the query'
      : undefined
  },
  create({ query, variables: names, operation_name: operationName, max_req_body_size: limit }) {
    const fixed = { ...(operationName !== undefined && { operationName }), query }

    function get({ request }: Exchange): void {
      const parameters = new URLSearchParams()
      if (names) parameters.set('variables', JSON.stringify(fromQuery(request.query, names)))
      if (operationName !== undefined) parameters.set('operationName', operationName)
      parameters.set('query', query)
      request.setQuery(parameters.toString())
    }

    async function post({ request }: Exchange): Promise<Verdict | undefined> {
      const body = await request.readBody(limit)
      if (body === null) return { status: 413 }
      const variables = names && fromBody(body, names)
      if (names && variables === undefined) return badRequest
      request.headers.set(contentType, 'application/json')
      const made = JSON.stringify({ ...(variables && { variables }), ...fixed })
      request.setBody(Buffer.from(made).toString('latin1'))
      return undefined
    }

    return {
      request(exchange) {
        switch (exchange.request.method) {
          case 'GET':
            return get(exchange)
          case 'POST':
            return post(exchange)
          default:
            return methodNotAllowed
        }
      },
    }
  },
})

function fromQuery(query: string, names: readonly string[]): Record<string, unknown> {
  const found: [string, unknown][] = []
  for (const name of names) {
    const values = queryValues(query, Buffer.from(name).toString('latin1')).map((value) =>
      Buffer.from(value, 'latin1').toString(),
    )
    if (values.length > 0) found.push([name, values.length === 1 ? values[0] : values])
  }
  return Object.fromEntries(found)
}

function fromBody(body: string, names: readonly string[]): Record<string, unknown> | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(body, 'latin1').toString())
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const given = value as Record<string, unknown>
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(given, name)).map((name) => [name, given[name]]),
  )
}
