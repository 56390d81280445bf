/** Settings that policies share which ask language models. */
import { type Static, Type } from '../../../config/type.ts'
import { keepAliveFields } from '../call-fields.ts'
import { openInApisix } from '../fields.ts'
import { type ProviderName, providers } from './providers.ts'

const values = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.String({ 'x-secret': true }), { description }))

export const provider = Type.Enum(Object.keys(providers) as ProviderName[], {
  description: 'Whose service it is.',
  'x-unsupported': ['vertex-ai', 'bedrock'],
})

export const auth = Type.Object(
  {
    header: values('Fields that the service gets; none of the client’s of that name.'),
    query: values('Parameters that the service gets.'),
  },
  {
    description: 'What identifies the gateway to the service.',
    'x-unsupported': { gcp: 'GCP accounts', aws: 'AWS signatures' },
  },
)

export const options = Type.Optional(
  Type.Object(
    { model: Type.Optional(Type.String({ description: 'Model that is asked.' })) },
    { additionalProperties: true, description: 'Fields of the request, in place of the client’s.' },
  ),
)

export const override = Type.Optional(
  Type.Object(
    {
      endpoint: Type.Optional(
        Type.String({
          pattern: '^https?://[^/?#\\s]+([/?][^#\\s]*)?$',
          description: 'Address of the service; without a path, that of the provider is added.',
          'x-form': 'a URL that begins with http:// or https://',
        }),
      ),
      llm_options: Type.Optional(
        Type.Object({
          max_tokens: Type.Optional(
            Type.Integer({ minimum: 1, description: 'Most tokens of an answer, whatever the client says.' }),
          ),
        }),
      ),
    },
    {
      description: 'What is other than with the provider itself.',
      'x-unsupported': {
        request_body: 'patches of the request by format',
        request_body_force_override: 'patches of the request by format',
      },
    },
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
  readonly auth: Static<typeof auth>
  readonly options?: Readonly<Record<string, unknown>>
  readonly override?: { endpoint?: string; llm_options?: { max_tokens?: number } }
}

/** What is wrong with an instance, as one sentence. */
export function instanceFinding({
  provider: name,
  override: other,
}: Omit<Instance, 'name'>): string | undefined {
  if (providers[name].host !== '' || other?.endpoint !== undefined) return undefined
  return `override.endpoint is needed with provider '${name}'`
}
