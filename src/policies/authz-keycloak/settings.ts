import { callFields, callTimeout, openInApisix, type Static, Type } from '../kit/index.ts'

const text = (maxLength: number, description: string, options: object = {}) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description, ...options }))
const flag = (description: string) => Type.Boolean({ default: false, description })
const seconds = (minimum: number, fallback: number, description: string) =>
  Type.Integer({ minimum, default: fallback, description })
const ticket = 'urn:ietf:params:oauth:grant-type:uma-ticket'

export const settings = Type.Object(
  {
    discovery: text(4096, 'URL of the UMA discovery document; needed without `token_endpoint`.'),
    token_endpoint: text(4096, 'URL that decides, in place of the one of the discovery document.'),
    resource_registration_endpoint: text(
      4096,
      'URL that knows resources by path, in place of the one of the discovery document.',
    ),
    client_id: Type.String({ minLength: 1, maxLength: 100, description: 'Id of the resource server.' }),
    client_secret: text(100, 'Its secret.', { 'x-secret': true }),
    grant_type: Type.Enum([ticket], {
      default: ticket,
      'x-apisix': { minLength: 1, maxLength: 100 },
      description: 'The only one.',
    }),
    policy_enforcement_mode: Type.Enum(['ENFORCING', 'PERMISSIVE'], {
      default: 'ENFORCING',
      description: 'Refuse requests that need no permission, or have Keycloak decide on them too.',
    }),
    permissions: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      uniqueItems: true,
      default: [],
      description: 'What a request needs: resources, each with `#` and a scope or without.',
    }),
    lazy_load_paths: flag('Ask Keycloak which resources the path belongs to, in place of `permissions`.'),
    http_method_as_scope: flag('Add the method, as a scope, to every permission.'),
    access_denied_redirect_uri: text(2048, 'Where a request goes that is denied, with 307.'),
    password_grant_token_generation_incoming_uri: text(
      4096,
      'Path at which user name and password get a token.',
    ),
    max_req_body_size: seconds(1, 67_108_864, 'Bytes of a request there.'),
    cache_ttl_seconds: seconds(
      1,
      86_400,
      'Seconds that the discovery document and the tokens of the gateway itself are kept at most.',
    ),
    access_token_expires_in: seconds(1, 300, 'Seconds that such a token is good for when nobody says.'),
    access_token_expires_leeway: seconds(0, 0, 'Seconds before its end at which it is renewed.'),
    refresh_token_expires_in: seconds(1, 3600, 'The same for the token that renews it.'),
    refresh_token_expires_leeway: seconds(0, 0, 'The same for the token that renews it.'),
    ...callFields(callTimeout({ minimum: 1000 })),
  },
  {
    ...openInApisix,
    allOf: [
      { anyOf: [{ required: ['discovery'] }, { required: ['token_endpoint'] }] },
      {
        anyOf: [
          { properties: { lazy_load_paths: { enum: [false] } } },
          {
            properties: { lazy_load_paths: { enum: [true] } },
            anyOf: [{ required: ['discovery'] }, { required: ['resource_registration_endpoint'] }],
          },
        ],
      },
    ],
  },
)

export type Settings = Static<typeof settings>
