import {
  type BasicCredentials,
  definePolicy,
  type Exchange,
  type ExchangeRequest,
  headerBlock,
  readBasicCredentials,
  Type,
} from '../kit/index.ts'
import { compileExpression, type RequestValue, requestValueProblem } from './expression.ts'

interface Client {
  client_id: string
  client_secret?: string
}

const idOf = (client: Client) => client.client_id
const pairOf = (client: Client) =>
  client.client_secret === undefined ? undefined : pair(client.client_id, client.client_secret)
const pair = (id: string, secret: string) => `${id}\0${secret}`
/** What nearly every client sends, to the letter: found without taking it apart. */
const tokenOf = (client: Client) =>
  client.client_secret === undefined
    ? undefined
    : Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')

/** Admits registered client applications; configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'client-id-enforcement',
  summary:
    'Admits client applications by their id and secret, and where contracts exist, only those with one.',
  details:
    'A rejection is 401 with `WWW-Authenticate: Client-ID-Enforcement`, or `Basic realm="mule-realm"` ' +
    'for HTTP Basic. A request without an id gets `{"error":"Client ID is not present"}`. An unknown ' +
    'id, a wrong or missing secret and a missing contract all get `{"error":"Authentication Attempt ' +
    'Failed"}`, so that nobody learns which ids exist.\n\nWhen any contract names the API (its service, ' +
    'its route, or every API), an application needs a contract of its own for it. Without contracts ' +
    "every registered application is admitted.\n\nExpressions are DataWeave, such as `#[attributes.headers['name']]` and " +
    "`#[attributes.queryParams['name']]`; they do not read the body. A parameter that comes twice has no value. " +
    'With HTTP Basic they are not used.',
  stage: 'identify',
  // Just below APISIX's key-auth (2500), in the gap above acl (2410).
  priority: 2495,
  config: Type.Object(
    {
      credentialsOriginHasHttpBasicAuthenticationHeader: Type.Enum(
        ['customExpression', 'httpBasicAuthenticationHeader'],
        { description: 'Where credentials are: in the places that the expressions name, or in HTTP Basic.' },
      ),
      clientIdExpression: Type.String({
        default: "#[attributes.headers['client_id']]",
        description: 'DataWeave expression for the client id.',
      }),
      clientSecretExpression: Type.String({
        default: "#[attributes.headers['client_secret']]",
        description: 'The same for the client secret. Blank: the id alone is enough.',
      }),
    },
    { additionalProperties: false },
  ),
  credential: Type.Object(
    {
      client_id: Type.String({ minLength: 1, description: 'Client id, unique among all consumers.' }),
      client_secret: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'Client secret. Without one, only the id can be asked for.',
          'x-secret': true,
        }),
      ),
    },
    { additionalProperties: false },
  ),
  credentialKey: 'client_id',
  validate(config) {
    if (config.credentialsOriginHasHttpBasicAuthenticationHeader === 'httpBasicAuthenticationHeader') return
    return (
      expressionFinding('clientIdExpression', config.clientIdExpression, false) ??
      expressionFinding('clientSecretExpression', config.clientSecretExpression, true)
    )
  },
  create(config, host) {
    const basic = config.credentialsOriginHasHttpBasicAuthenticationHeader === 'httpBasicAuthenticationHeader'
    const read = basic ? readBasic : readWith(config.clientIdExpression, config.clientSecretExpression)
    const idAlone = !basic && config.clientSecretExpression.trim() === ''
    const credentials = host.credentials(idAlone ? idOf : pairOf)
    const tokens = basic ? host.credentials(tokenOf) : undefined
    const challenge = basic ? 'Basic realm="mule-realm"' : 'Client-ID-Enforcement'
    const headers = headerBlock([['WWW-Authenticate', challenge]])
    const contentType = 'application/json'
    const absent = { status: 401, body: '{"error":"Client ID is not present"}', contentType, headers }
    /** One answer for an unknown id, a wrong or missing secret and a missing contract: it tells nobody which ids exist. */
    const failed = { status: 401, body: '{"error":"Authentication Attempt Failed"}', contentType, headers }

    return {
      request(exchange) {
        const token = tokens && basicToken(exchange.request)
        let found = token === undefined ? undefined : tokens?.find(token)
        if (!found) {
          const presented = read(exchange)
          if (presented === undefined) return absent
          found = credentials.find(idAlone ? presented.user : pair(presented.user, presented.password))
        }
        if (!found) return failed
        const { binding } = exchange
        if (
          binding &&
          host.contracts.governs(binding) &&
          !host.contracts.find(found.consumer.username, binding)
        ) {
          return failed
        }
        exchange.identify(found.consumer, found.credentialId)
      },
    }
  },
})

function expressionFinding(field: string, text: string, mayBeBlank: boolean): string | undefined {
  if (mayBeBlank && text.trim() === '') return undefined
  const problem = requestValueProblem(text)
  return problem && `${field}: ${problem}`
}

function basicToken(request: ExchangeRequest): string | undefined {
  const field = request.headers.get('authorization')
  return field?.startsWith('Basic ') ? field.slice('Basic '.length) : undefined
}

/** No id: undefined. An empty secret stands for a missing one, which no application has. */
function readBasic({ request }: Exchange): BasicCredentials | undefined {
  const field = request.headers.get('authorization')
  const credentials = field === undefined ? undefined : readBasicCredentials(field)
  return credentials?.user ? credentials : undefined
}

function readWith(
  idExpression: string,
  secretExpression: string,
): (exchange: Exchange) => BasicCredentials | undefined {
  const id = compileExpression(idExpression)
  const secret: RequestValue = secretExpression.trim() === '' ? () => '' : compileExpression(secretExpression)
  return (exchange) => {
    const user = id(exchange)
    return user ? { user, password: secret(exchange) ?? '' } : undefined
  }
}
