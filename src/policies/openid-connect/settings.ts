import { closedInApisix, openInApisix, type Static, Type } from '../kit/index.ts'
import { reservedNames } from './key-findings.ts'

const text = (description: string, options: object = {}) =>
  Type.Optional(Type.String({ description, ...options }))
const flag = (fallback: boolean, description: string) => Type.Boolean({ default: fallback, description })
const whole = (description: string) => Type.Optional(Type.Integer({ description }))
const unused = 'Has no effect.'

const milliseconds = (fallback: number, description: string, minimum = 1) =>
  Type.Integer({ minimum, default: fallback, description })

const redis = Type.Optional(
  Type.Object(
    {
      host: Type.String({ minLength: 2, default: '127.0.0.1', description: 'Its host.' }),
      port: Type.Integer({ minimum: 1, default: 6379, description: 'Its port.' }),
      username: text('User.', { minLength: 1 }),
      password: text('Password.', { 'x-secret': true }),
      database: Type.Integer({ minimum: 0, default: 0, description: 'Number of the database.' }),
      prefix: Type.String({ default: 'sessions', description: 'What keys begin with.' }),
      ssl: flag(false, 'Talk TLS to it.'),
      ssl_verify: flag(true, 'Check its certificate.'),
      server_name: text('Name that its certificate is for. Default: `host`.'),
      connect_timeout: milliseconds(1000, 'Milliseconds to connect.'),
      send_timeout: milliseconds(1000, 'Milliseconds to ask.'),
      read_timeout: milliseconds(1000, 'Milliseconds for an answer.'),
      keepalive_timeout: milliseconds(10_000, 'Milliseconds after which an idle connection is closed.', 1000),
    },
    { ...openInApisix, description: 'Redis, for the `storage` of that name.' },
  ),
)

const proxyText = (description: string, options?: object) => text(description, { minLength: 1, ...options })
const proxies = Type.Optional(
  Type.Object(
    {
      http_proxy: proxyText('URL of the proxy for calls without TLS.'),
      https_proxy: proxyText('URL of the proxy for calls with TLS.'),
      http_proxy_authorization: proxyText('`Proxy-Authorization` for the first.', { 'x-secret': true }),
      https_proxy_authorization: proxyText('`Proxy-Authorization` for the second.', { 'x-secret': true }),
      no_proxy: text('Hosts, separated by commas, that are called without, with all that are under them.'),
    },
    { ...openInApisix, description: 'HTTP proxies between the gateway and the provider.' },
  ),
)

const session = Type.Optional(
  Type.Object(
    {
      secret: Type.String({
        minLength: 16,
        'x-secret': true,
        description: 'What the key that seals the cookies is made of.',
      }),
      cookie_name: text('Name of the session cookie. Default: `session`.', {
        pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        'x-apisix': { pattern: undefined },
      }),
      cookie_path: text('Path of the cookie. Default: `/`.'),
      cookie_domain: text('Domain of the cookie.'),
      cookie_secure: Type.Optional(
        Type.Boolean({
          description: 'Default: on when the browser talks TLS, to the gateway or to a trusted proxy.',
        }),
      ),
      cookie_http_only: Type.Optional(Type.Boolean({ description: 'Default: on.' })),
      cookie_same_site: Type.Optional(
        Type.Enum(['Strict', 'Lax', 'None', 'Default'], { description: 'Default: `Lax`.' }),
      ),
      idling_timeout: whole('Seconds without a request after which a session ends. Default: 900.'),
      rolling_timeout: whole(unused),
      absolute_timeout: whole('Seconds after which a session ends. Default: 86400.'),
      cookie: Type.Optional(
        Type.Object(
          { lifetime: whole('Stands for `absolute_timeout` where there is none.') },
          { ...openInApisix, description: 'As older versions of APISIX have it.' },
        ),
      ),
      storage: Type.Enum(['cookie', 'redis'], {
        default: 'cookie',
        description: 'Where sessions are kept.',
      }),
      redis,
    },
    {
      ...closedInApisix,
      description: 'Sessions of browsers; needed unless `bearer_only` is on.',
      if: { required: ['storage'], properties: { storage: { enum: ['redis'] } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['redis'] },
    },
  ),
)

const par = Type.Optional(
  Type.Object(
    {
      enabled: flag(false, 'Use them.'),
      endpoint: text('Where they go. Default: the endpoint of the discovery document.'),
      endpoint_auth_method: Type.Optional(
        Type.Enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'client_secret_jwt'], {
          description: 'How the client identifies itself there. Default: `token_endpoint_auth_method`.',
        }),
      ),
    },
    {
      ...closedInApisix,
      description: 'Pushed authorization requests (RFC 9126): the browser carries no parameters of a login.',
    },
  ),
)

const dpop = Type.Optional(
  Type.Object(
    {
      enabled: flag(false, 'Use it.'),
      signing_alg: Type.Enum(['ES256', 'RS256', 'PS256'], {
        default: 'ES256',
        description: 'Algorithm of proofs.',
      }),
      private_key: text('Key in PEM that signs them.', { 'x-secret': true }),
      public_jwk: Type.Optional(
        Type.Unsafe<Record<string, unknown>>({
          type: 'object',
          not: {
            anyOf: ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].map((name) => ({ required: [name] })),
          },
          description: 'Its public half, as a JWK.',
        }),
      ),
    },
    {
      ...closedInApisix,
      if: { required: ['enabled'], properties: { enabled: { const: true } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['private_key', 'public_jwk'] },
      description: 'Proof of possession (RFC 9449): tokens that are good with this key only.',
    },
  ),
)

/** Known so that they are refused with the name that they have here, also where unknown fields are let pass. */
const reserved = Object.fromEntries(
  Object.entries(reservedNames).map(([name, owner]) => [
    name,
    Type.Optional(Type.Unsafe<never>({ description: `Not allowed: it is \`${owner}\`.` })),
  ]),
)

const claimValidator = Type.Optional(
  Type.Object(
    {
      issuer: Type.Optional(
        Type.Object(
          {
            valid_issuers: Type.Optional(
              Type.Array(Type.String(), {
                description: 'Issuers of tokens. Default: the one of the discovery document.',
              }),
            ),
          },
          { ...openInApisix, description: 'Who may have issued a token.' },
        ),
      ),
      audience: Type.Optional(
        Type.Object(
          {
            claim: Type.String({ default: 'aud', description: 'Claim that names the audience.' }),
            required: flag(false, 'It has to be there.'),
            match_with_client_id: flag(false, 'It has to be, or hold, `client_id`.'),
          },
          { ...openInApisix, description: 'For whom a token has to be.' },
        ),
      ),
    },
    { ...openInApisix, description: 'Further checks of tokens.' },
  ),
)

export const settings = Type.Object(
  {
    client_id: Type.String({ description: 'Id of the client.' }),
    client_secret: text('Its secret.', { 'x-secret': true }),
    discovery: Type.String({ description: 'URL of the discovery document.' }),
    scope: Type.String({ default: 'openid', description: 'Scopes that are asked for.' }),
    ssl_verify: flag(true, 'Check the certificate of the provider.'),
    timeout: Type.Integer({
      minimum: 1,
      default: 3,
      description: 'Seconds for an answer of the provider; thousands are milliseconds.',
    }),
    introspection_endpoint: text('URL that tokens are shown to. Default: the one of the discovery document.'),
    introspection_endpoint_auth_method: Type.String({
      default: 'client_secret_basic',
      description: 'How the client identifies itself there.',
    }),
    token_endpoint_auth_method: Type.String({
      default: 'client_secret_basic',
      description: 'How it identifies itself at the token endpoint.',
    }),
    bearer_only: flag(false, 'Refuse requests without a bearer token, in place of a login.'),
    session,
    realm: Type.String({
      default: 'apisix',
      pattern: '^[ -!#-[\\]-~]*$',
      'x-apisix': { pattern: undefined },
      description: 'Realm of the challenge.',
    }),
    claim_validator: claimValidator,
    logout_path: Type.String({ default: '/logout', description: 'Path that ends the session.' }),
    redirect_uri: text(
      'Where the provider sends the browser back to. Default: the path with `/.apisix/redirect`.',
    ),
    post_logout_redirect_uri: text('Where the browser goes after the logout.'),
    unauth_action: Type.Enum(['auth', 'deny', 'pass'], {
      default: 'auth',
      description: 'For requests that nobody is known of: log in, refuse, or let pass.',
    }),
    public_key: text('Key in PEM that tokens are verified with.'),
    use_jwks: flag(false, 'Verify tokens with the keys of the provider.'),
    token_signing_alg_values_expected: text('The only algorithm of signatures.'),
    use_pkce: flag(false, 'Use PKCE, also when the provider does not say that it knows it.'),
    par,
    dpop,
    set_access_token_header: flag(true, 'Tell the upstream the access token.'),
    access_token_in_authorization_header: flag(false, 'In `Authorization`, not in `X-Access-Token`.'),
    set_id_token_header: flag(true, 'Tell it the claims of the ID token, as `X-ID-Token`.'),
    set_raw_id_token_header: flag(false, 'Tell it the ID token, as `X-Raw-ID-Token`.'),
    set_userinfo_header: flag(true, 'Tell it who the user is, as `X-Userinfo`.'),
    set_refresh_token_header: flag(false, 'Tell it the refresh token, as `X-Refresh-Token`.'),
    authorization_params: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'Further parameters of the login.',
      }),
    ),
    client_rsa_private_key: text('Key in PEM that `private_key_jwt` signs with.', { 'x-secret': true }),
    client_rsa_private_key_id: text('Its id.'),
    client_jwt_assertion_expires_in: Type.Integer({
      default: 60,
      description: 'Seconds that a signed assertion is good for.',
    }),
    client_jwt_assertion_alg: Type.Optional(
      Type.Enum(['HS256', 'HS512', 'RS256', 'RS512', 'ES256', 'ES512'], {
        description: 'Algorithm of assertions. Default: RS256, or HS256 with `client_secret_jwt`.',
      }),
    ),
    client_jwt_assertion_audience: text('Audience of assertions. Default: the endpoint.'),
    renew_access_token_on_expiry: flag(true, 'Renew access tokens that are over.'),
    access_token_expires_in: whole(
      'Seconds that an access token is good for when the provider does not say.',
    ),
    refresh_session_interval: whole(unused),
    iat_slack: Type.Integer({ default: 120, description: 'Seconds by which clocks may differ.' }),
    accept_none_alg: flag(false, unused),
    accept_unsupported_alg: flag(true, unused),
    access_token_expires_leeway: Type.Integer({
      default: 0,
      description: 'Seconds before its end at which an access token is renewed.',
    }),
    force_reauthorize: flag(false, unused),
    use_nonce: flag(false, 'Has no effect: there always is a nonce.'),
    revoke_tokens_on_logout: flag(false, 'Have the provider forget the tokens of a session that ends.'),
    jwk_expires_in: Type.Integer({
      default: 86_400,
      description: 'Seconds that keys of the provider are good for.',
    }),
    jwt_verification_cache_ignore: flag(false, 'Has no effect: every token is verified.'),
    cache_segment: text(unused),
    introspection_interval: Type.Integer({
      default: 0,
      description: 'Seconds that what the provider says of a token is good for.',
    }),
    introspection_expiry_claim: text('Claim with the end of a token. Default: `exp`.'),
    introspection_addon_headers: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^:]+$' }), {
        minItems: 1,
        description: 'Fields of the client that the introspection gets.',
      }),
    ),
    required_scopes: Type.Optional(
      Type.Array(Type.String(), { description: 'Scopes that a token must have.' }),
    ),
    claim_schema: Type.Optional(
      Type.Unsafe<object>({ type: 'object', description: 'JSON Schema that the claims have to fit.' }),
    ),
    proxy_opts: proxies,
    ...reserved,
  },
  {
    'x-apisix': {
      ...openInApisix['x-apisix'],
      properties: Object.fromEntries(Object.keys(reserved).map((name) => [name, undefined])),
    },
  },
)

export type Settings = Static<typeof settings>
