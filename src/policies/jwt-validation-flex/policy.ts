import {
  type Expression,
  expressionIn,
  expressionProblem,
  requestScope,
  textOrExpression,
  usualVocabulary,
} from '../kit/dataweave/index.ts'
import { rejection } from '../kit/flex/rejection.ts'
import {
  definePolicy,
  type Exchange,
  headerName,
  headerNameProblem,
  serviceUrlProblem,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { type Claims, ClaimView, claimRules } from './claims.ts'
import { type KeySource, KeysAbsentError, keyProblem, keySource } from './keys.ts'
import { tokenOf } from './token.ts'

const idOf = (credential: { client_id: string }) => credential.client_id
const withClaims = { ...usualVocabulary, vars: ['claimSet'] }
const bearer = /^bearer +(\S+) *$/i

const claim = (what: string) =>
  Type.Array(
    Type.Object(
      {
        key: Type.String({ minLength: 1, description: 'Name of the claim.' }),
        value: Type.String({
          description:
            'DataWeave expression over `vars.claimSet` that has to be true, or the text of the claim.',
        }),
      },
      { additionalProperties: false },
    ),
    { default: [], maxItems: 100, description: what },
  )

/** Tokens that are signed (RFC 7519); configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'jwt-validation-flex',
  summary: 'Lets in who has a JSON Web Token with a good signature and the claims that are asked for.',
  details:
    'Without a token the answer is 400 with `{"error":"JWT Token is required."}`, with one that is not good 401 with ' +
    '`{"error":"Invalid token."}`, both with `WWW-Authenticate: Bearer`; why is in the log. While no key can be had it is ' +
    '503; keys that were fetched once stay in use while they cannot be fetched again.\n\nThe algorithm is what `signingMethod` and ' +
    '`signingKeyLength` say, whatever a token claims. `exp` and `nbf` count wherever they are there. `none` looks at claims ' +
    'alone: then anybody can make a token.\n\nThe client that a token was given to has to be a consumer, and where ' +
    'contracts name the API, one with a contract, unless `skipClientIdValidation` is on; who is not gets 401. Later ' +
    'policies see the claims as `authentication.properties.claims`. Fields of `claimsToHeaders` never come from a client.',
  stage: 'identify',
  priority: 2511,
  config: Type.Object(
    {
      jwtOrigin: Type.Enum(['httpBearerAuthenticationHeader', 'customExpression'], {
        default: 'httpBearerAuthenticationHeader',
        description: 'Where the token is.',
      }),
      jwtExpression: Type.String({
        default: "#[attributes.headers['jwt']]",
        description: 'DataWeave expression for it, with `customExpression`.',
      }),
      signingMethod: Type.Enum(['rsa', 'hmac', 'es', 'none'], {
        default: 'rsa',
        description: 'How it is signed.',
      }),
      signingKeyLength: Type.Enum([256, 384, 512], { default: 256, description: 'Bits of the hash.' }),
      jwtKeyOrigin: Type.Enum(['text', 'jwks', 'customExpression'], {
        default: 'text',
        description: 'Where the key is. Shared keys of `hmac` are never read from a key set.',
      }),
      textKey: Type.Optional(
        Type.String({
          description:
            'The key: PEM, with or without the lines around it; with `hmac` a text of 32, 48 or 64 characters at least.',
          'x-secret': true,
        }),
      ),
      customKeyExpression: Type.Optional(Type.String({ description: 'DataWeave expression for the key.' })),
      jwksUrl: Type.Optional(Type.String({ description: 'URLs of key sets (RFC 7517), between commas.' })),
      jwksServiceTimeToLive: Type.Integer({
        minimum: 1,
        default: 60,
        description: 'Minutes for which a key set is used.',
      }),
      jwksServiceConnectionTimeout: Type.Integer({
        minimum: 1,
        maximum: 60_000,
        default: 10_000,
        description: 'Milliseconds to fetch one.',
      }),
      validateAudClaim: Type.Boolean({ default: false, description: 'Look at the audience.' }),
      mandatoryAudClaim: Type.Boolean({ default: false, description: 'A token has to have one.' }),
      supportedAudiences: Type.String({ default: '', description: 'Audiences, between commas.' }),
      mandatoryExpClaim: Type.Boolean({ default: false, description: 'A token has to have an end.' }),
      mandatoryNbfClaim: Type.Boolean({ default: false, description: 'A token has to have a beginning.' }),
      validateCustomClaim: Type.Boolean({ default: false, description: 'Look at the claims below.' }),
      mandatoryCustomClaims: claim('Claims that have to be there.'),
      nonMandatoryCustomClaims: claim('Claims that have to hold where they are there.'),
      claimsToHeaders: Type.Array(
        Type.Object(
          {
            claim: Type.String({ minLength: 1, description: 'Name of the claim.' }),
            header: Type.String({ minLength: 1, description: 'Field in which the upstream gets it.' }),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 100, description: 'Claims that the upstream is told.' },
      ),
      skipClientIdValidation: Type.Boolean({
        default: false,
        description: 'Let tokens of clients pass that are no consumers.',
      }),
      clientIdExpression: Type.String({
        default: '#[vars.claimSet.client_id]',
        description: 'DataWeave expression for the client id.',
      }),
      ssl_verify: Type.Boolean({ default: true, description: 'Check certificates where keys are fetched.' }),
    },
    { additionalProperties: false },
  ),
  credential: Type.Object(
    { client_id: Type.String({ minLength: 1, description: 'Client id, unique among all consumers.' }) },
    { additionalProperties: false },
  ),
  credentialKey: 'client_id',
  validate(config) {
    const { jwtOrigin, jwtExpression, signingMethod, jwtKeyOrigin, jwksUrl, customKeyExpression } = config
    if (jwtOrigin === 'customExpression') {
      const problem = withoutPayload(jwtExpression)
      if (problem !== undefined) return `jwtExpression: ${problem}`
    }
    if (signingMethod !== 'none') {
      switch (jwtKeyOrigin) {
        case 'jwks': {
          if (signingMethod === 'hmac') return 'jwtKeyOrigin: shared keys are not read from a key set'
          if (jwksUrl === undefined) return 'jwksUrl is needed with jwtKeyOrigin jwks'
          for (const url of urlsOf(jwksUrl)) {
            const problem = serviceUrlProblem(url)
            if (problem !== undefined) return `jwksUrl ${problem}`
          }
          break
        }
        case 'text': {
          if (config.textKey === undefined) return 'textKey is needed with jwtKeyOrigin text'
          const problem = keyProblem(config.textKey, signingMethod, config.signingKeyLength)
          if (problem !== undefined) return `textKey: ${problem}`
          break
        }
        default: {
          if (customKeyExpression === undefined) {
            return 'customKeyExpression is needed with jwtKeyOrigin customExpression'
          }
          const problem = withoutPayload(customKeyExpression)
          if (problem !== undefined) return `customKeyExpression: ${problem}`
        }
      }
    }
    if (config.validateAudClaim && audiencesOf(config.supportedAudiences).length === 0) {
      return 'supportedAudiences: needs an audience with validateAudClaim'
    }
    for (const field of ['mandatoryCustomClaims', 'nonMandatoryCustomClaims'] as const) {
      for (const [index, { value }] of config[field].entries()) {
        const problem = expressionProblem(value, withClaims)
        if (problem !== undefined) return `${field}.${index}.value: ${problem}`
      }
    }
    for (const [index, { header }] of config.claimsToHeaders.entries()) {
      const problem = headerNameProblem(header)
      if (problem !== undefined) return `claimsToHeaders.${index}.header: ${problem}`
    }
    const problem = config.skipClientIdValidation
      ? undefined
      : expressionProblem(config.clientIdExpression, withClaims)
    return problem && `clientIdExpression: ${problem}`
  },
  create(config, host) {
    const required = rejection(400, 'JWT Token is required.', 'Bearer')
    const invalid = rejection(401, 'Invalid token.', 'Bearer')
    const unavailable = rejection(503, 'No key for the token can be had.')
    const expression =
      config.jwtOrigin === 'customExpression' ? textOrExpression(config.jwtExpression) : undefined
    const keys: KeySource | undefined =
      config.signingMethod === 'none'
        ? undefined
        : keySource({ ...config, urls: urlsOf(config.jwksUrl ?? '') }, host)
    const judge = claimRules({ ...config, audiences: audiencesOf(config.supportedAudiences) }, withClaims)
    const clientId = textOrExpression(config.clientIdExpression, withClaims)
    const credentials = host.credentials(idOf)
    const told = config.claimsToHeaders.map(({ claim: name, header }) => ({
      name,
      field: headerName(header),
    }))

    function presented(exchange: Exchange): string | undefined {
      if (expression !== undefined) return quietText(expression, exchange)
      return bearer.exec(exchange.request.headers.getAll('authorization') ?? '')?.[1]
    }

    function refuse(reason: string): Verdict {
      host.log.debug({ reason }, 'a token is not good')
      return invalid
    }

    /** False: nobody is known who may use this API with such a token. */
    function attach(exchange: Exchange, claims: Claims): boolean {
      const id = quietText(clientId, exchange, claims)
      const found = id === undefined ? undefined : credentials.find(Buffer.from(id).toString('latin1'))
      if (found === undefined) return false
      const { binding } = exchange
      const needsContract = binding !== null && host.contracts.governs(binding)
      if (needsContract && host.contracts.find(found.consumer.username, binding) === undefined) return false
      exchange.identify(found.consumer, found.credentialId)
      return true
    }

    return {
      async request(exchange) {
        for (const { field } of told) exchange.request.headers.remove(field)
        const text = presented(exchange)
        if (text === undefined || text === '') return required
        const token = tokenOf(text, keys === undefined)
        if (token === undefined) return refuse('it cannot be read')
        try {
          if (keys !== undefined && !(await keys(token, exchange))) return refuse('its signature is not good')
        } catch (error) {
          if (!(error instanceof KeysAbsentError)) throw error
          host.log.warn({ reason: error.message }, 'no key for tokens can be had')
          return unavailable
        }
        const fault = judge(token.payload, exchange, host.now())
        if (fault !== undefined) return refuse(fault)
        exchange.externalUser = token.payload
        if (!config.skipClientIdValidation && !attach(exchange, token.payload))
          return refuse('nobody is known by it')
        for (const { name, field } of told) {
          const value = token.payload[name]
          if (value === undefined || value === null) continue
          const shown = typeof value === 'object' ? JSON.stringify(value) : String(value)
          exchange.request.headers.set(
            field,
            /^[\x20-\x7e]*$/.test(shown) ? shown : encodeURIComponent(shown.toWellFormed()),
          )
        }
        return undefined
      },
    }
  },
})

const urlsOf = (text: string) => text.split(',').map((url) => url.trim())
const audiencesOf = (text: string) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')

function withoutPayload(text: string): string | undefined {
  if (expressionIn(text) === undefined) return 'has to be an expression between #[ and ]'
  const problem = expressionProblem(text, usualVocabulary)
  if (problem !== undefined) return problem
  return textOrExpression(text).reads.payload ? 'the body is not read for it' : undefined
}

/** Undefined: it has no value. */
function quietText(expression: Expression, exchange: Exchange, claims?: Claims): string | undefined {
  try {
    const scope = requestScope(exchange, null, claims && new ClaimView(claims))
    return expression.text(scope) || undefined
  } catch {
    return undefined
  }
}
