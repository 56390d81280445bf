/** Settings that policies share which ask language models. */
import { type Static, Type } from '../../../config/type.ts'
import { keepAliveFields } from '../call-fields.ts'
import { closedInApisix, openInApisix } from '../fields.ts'
import { isJson, parsedJson, protocols } from './chat.ts'
import { type ProviderName, providers } from './providers.ts'

const secret = (description: string) => Type.String({ minLength: 1, 'x-secret': true, description })
const values = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.String({ 'x-secret': true }), { description }))

export const provider = Type.Enum(Object.keys(providers) as ProviderName[], {
  description: 'Whose service it is.',
})

export const providerConf = Type.Optional(
  Type.Object(
    {
      project_id: Type.Optional(
        Type.String({ pattern: '^[A-Za-z0-9._:-]*$', description: 'Project of Google Cloud.' }),
      ),
      region: Type.Optional(
        Type.String({
          minLength: 1,
          pattern: '^[A-Za-z0-9-]+$',
          description: 'Region of Google Cloud or of AWS.',
        }),
      ),
    },
    { ...openInApisix, description: 'Where the service is, for `vertex-ai` and `bedrock`.' },
  ),
)

/** Fields and parameters that a service gets. */
export const simpleAuth = {
  header: values('Fields that the service gets; none of the client’s of that name.'),
  query: values('Parameters that the service gets.'),
}

export const auth = Type.Object(
  {
    ...simpleAuth,
    gcp: Type.Optional(
      Type.Object(
        {
          service_account_json: Type.Optional(
            Type.String({
              'x-secret': true,
              description:
                'The account as Google gives it out; without it, that of the environment variable `GCP_SERVICE_ACCOUNT`.',
            }),
          ),
          max_ttl: Type.Optional(
            Type.Integer({ minimum: 1, description: 'Most seconds for which an access token is used.' }),
          ),
          expire_early_secs: Type.Integer({
            minimum: 0,
            default: 60,
            description: 'Seconds before its end that it is not used any more.',
          }),
        },
        { ...openInApisix, description: 'A service account of Google Cloud.' },
      ),
    ),
    aws: Type.Optional(
      Type.Object(
        {
          access_key_id: Type.String({ minLength: 1, description: 'Id of the key.' }),
          secret_access_key: secret('The key.'),
          session_token: Type.Optional(secret('Goes with a key that holds for a while.')),
        },
        { ...openInApisix, description: 'What requests to AWS are signed with.' },
      ),
    ),
  },
  { ...closedInApisix, description: 'What identifies the gateway to the service.' },
)

export const options = Type.Optional(
  Type.Object(
    { model: Type.Optional(Type.String({ description: 'Model that is asked.' })) },
    { additionalProperties: true, description: 'Fields of the request, in place of the client’s.' },
  ),
)

const endpointPattern = '^https?://[^/?#\\s]+([/?][^#\\s]*)?$'
const endpointForm = new RegExp(endpointPattern)

/** Whether it says where a service is. The Admin API asks in the words of APISIX, for which its schema has no pattern. */
export const isEndpoint = (text: string | undefined) => text === undefined || endpointForm.test(text)

export const endpoint = Type.Optional(
  Type.String({
    pattern: endpointPattern,
    'x-apisix': { pattern: undefined },
    description: 'Address of the service; without a path, that of the provider is added.',
    'x-form': 'a URL that begins with http:// or https://',
  }),
)

const patch = (protocol: string) =>
  Type.Optional(
    Type.Object({}, { additionalProperties: true, description: `For requests in the format ${protocol}.` }),
  )

export const override = Type.Optional(
  Type.Object(
    {
      endpoint,
      llm_options: Type.Optional(
        Type.Object(
          {
            max_tokens: Type.Optional(
              Type.Integer({
                minimum: 1,
                description:
                  'Most tokens of an answer, whatever the client says, in the field of the provider.',
              }),
            ),
          },
          {
            ...closedInApisix,
            description: 'Options under the name that each provider has for them.',
          },
        ),
      ),
      request_body: Type.Optional(
        Type.Object(
          Object.fromEntries(protocols.map((name) => [name, patch(name)])) as Record<
            (typeof protocols)[number],
            ReturnType<typeof patch>
          >,
          {
            ...closedInApisix,
            description: 'Fields of requests by the format in which they are sent; maps are merged.',
          },
        ),
      ),
      request_body_force_override: Type.Boolean({
        default: false,
        description: 'They take the place of what is there, rather than fill what is not.',
      }),
    },
    { ...openInApisix, description: 'What is other than with the provider itself.' },
  ),
)

export const logging = Type.Optional(
  Type.Object(
    {
      summaries: Type.Boolean({
        default: false,
        description: 'Loggers are told models, times and tokens, as `llm_summary`.',
      }),
      payloads: Type.Boolean({
        default: false,
        description: 'And what was asked and answered, as `llm_request` and `llm_response_text`.',
      }),
    },
    { ...openInApisix, description: 'What loggers add to their entries.' },
  ),
)

/** How services are asked. */
export const asking = {
  timeout: Type.Integer({
    minimum: 1,
    maximum: 600_000,
    default: 30_000,
    description: 'Milliseconds until the connection stands, until the answer begins, and between its pieces.',
  }),
  max_req_body_size: Type.Integer({
    minimum: 1,
    default: 67_108_864,
    description: 'Bytes of a request body.',
  }),
  max_stream_duration_ms: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Milliseconds after which a stream is broken off.' }),
  ),
  max_response_bytes: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Bytes after which an answer is broken off.' }),
  ),
  ...keepAliveFields(30),
  streaming_flush_interval_ms: Type.Integer({
    minimum: 0,
    default: 10,
    description: 'Known because APISIX has it: every piece goes out as it comes.',
  }),
  ssl_verify: Type.Boolean({ default: true, description: 'Check the certificates of services.' }),
}

export interface Asking extends Static<ReturnType<typeof askingObject>> {}
const askingObject = () => Type.Object(asking, openInApisix)

export interface Instance {
  readonly name: string
  readonly provider: ProviderName
  readonly provider_conf?: Static<typeof providerConf>
  readonly auth: Static<typeof auth>
  readonly options?: Readonly<Record<string, unknown>>
  readonly override?: Static<typeof override>
}

/** What is wrong with an instance, as one sentence. */
export function instanceFinding({
  provider: name,
  provider_conf: place,
  override: other,
  auth: { gcp, aws },
}: Omit<Instance, 'name'>): string | undefined {
  if (!isEndpoint(other?.endpoint)) return 'invalid endpoint'
  const account = gcp?.service_account_json
  if (account !== undefined && !account.startsWith('$') && !isJson(parsedJson(account)))
    return 'invalid gcp service_account_json: it is no JSON object'
  if (name === 'bedrock') {
    if (place?.region === undefined) return 'bedrock requires provider_conf.region'
    return aws === undefined ? 'bedrock requires auth.aws' : undefined
  }
  if (other?.endpoint !== undefined) return undefined
  if (name === 'vertex-ai')
    return place?.project_id === undefined || place.region === undefined
      ? 'vertex-ai requires either provider_conf (project_id + region) or override.endpoint'
      : undefined
  return 'host' in providers[name] ? undefined : `override.endpoint is needed with provider '${name}'`
}
