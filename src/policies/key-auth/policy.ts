import {
  anonymousConsumer,
  anonymousStandIn,
  definePolicy,
  type Exchange,
  headerBlock,
  headerName,
  openInApisix,
  queryValues,
  realm,
  Type,
  withoutQueryParameter,
} from '../kit/index.ts'

const keyOf = (credential: { key: string }) => credential.key

/** An API key in a header or the query; configuration and answers of APISIX's `key-auth`. */
export default definePolicy({
  name: 'key-auth',
  summary: 'Identifies a consumer by an API key in a header or in the query.',
  details:
    'A rejection is 401 with `WWW-Authenticate: apikey realm="..."` and `{"message":"Missing API key in ' +
    'request"}` or `{"message":"Invalid API key in request"}`; when the anonymous consumer does not ' +
    'exist, `{"message":"Invalid user authorization"}`.\n\nA query parameter that stands there more ' +
    'than once names no key, because it would be up to the reader which one counts.',
  stage: 'identify',
  priority: 2500,
  config: Type.Object(
    {
      header: Type.String({ default: 'apikey', description: 'Header that carries the key; asked first.' }),
      query: Type.String({
        default: 'apikey',
        description: 'Query parameter that carries the key when the header is absent.',
      }),
      realm: realm('key'),
      hide_credentials: Type.Boolean({ default: false, description: 'Keep the key from the upstream.' }),
      anonymous_consumer: anonymousConsumer,
    },
    openInApisix,
  ),
  credential: Type.Object(
    { key: Type.String({ description: 'The API key.', 'x-secret': true }) },
    openInApisix,
  ),
  credentialKey: 'key',
  create(config, host) {
    const header = headerName(config.header)
    const credentials = host.credentials(keyOf)
    const headers = headerBlock([['WWW-Authenticate', `apikey realm="${config.realm}"`]])
    const missing = { status: 401, body: { message: 'Missing API key in request' }, headers }
    const invalid = { status: 401, body: { message: 'Invalid API key in request' }, headers }
    const noStandIn = { status: 401, body: { message: 'Invalid user authorization' }, headers }
    const standIn = anonymousStandIn(config.anonymous_consumer, host, noStandIn)

    return {
      request(exchange) {
        const { request } = exchange
        const inHeader = request.headers.get(header.lower)
        const presented = inHeader ?? keyInQuery(request.query, config.query)
        const found = presented === undefined ? undefined : credentials.find(presented)
        if (found) {
          if (config.hide_credentials) {
            if (inHeader === undefined) hideQuery(exchange)
            else request.headers.remove(header)
          }
          exchange.identify(found.consumer, found.credentialId)
          return undefined
        }

        const refused = standIn(exchange, presented === undefined ? missing : invalid)
        if (refused !== undefined) return refused
        if (config.hide_credentials) {
          request.headers.remove(header)
          hideQuery(exchange)
        }
        return undefined
      },
    }

    function hideQuery({ request }: Exchange): void {
      if (queryValues(request.query, config.query).length === 0) return
      request.setQuery(withoutQueryParameter(request.query, config.query))
    }
  },
})

/** A repeated parameter names no key: which one counts would be up to the reader. */
function keyInQuery(query: string, name: string): string | undefined {
  if (query === '') return undefined
  const values = queryValues(query, name)
  return values.length > 1 ? '' : values[0]
}
