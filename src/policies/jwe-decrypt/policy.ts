import {
  definePolicy,
  headerName,
  headerNameProblem,
  InvalidHeaderError,
  openInApisix,
  Type,
} from '../kit/index.ts'
import { decrypt, readToken } from './token.ts'

interface Key {
  key: string
  secret: string
  is_base64_encoded?: boolean
}
const keyOf = (credential: Key) => credential.key

const secretBytes = 32

/** Encrypted tokens; configuration and answers of APISIX's `jwe-decrypt`. */
export default definePolicy({
  name: 'jwe-decrypt',
  summary: 'Decrypts a JSON Web Encryption token with the key of a consumer and hands on what is in it.',
  details:
    'Tokens are encrypted directly with a key of 32 bytes (`alg: dir`, `enc: A256GCM`); `kid` in their header says ' +
    'whose. What is in a token takes its place in `forward_header`. No caller is identified by it.\n\nA request without ' +
    'a token is 403 with `{"message":"missing JWE token in request"}`, or passes without `forward_header` where ' +
    '`strict` is off. Any other rejection is 400 with one of `JWE token invalid`, `missing kid in JWE token`, `invalid ' +
    'kid in JWE token` and `failed to decrypt JWE token` as its `message`.',
  stage: 'identify',
  priority: 2509,
  config: Type.Object(
    {
      header: Type.String({ default: 'Authorization', description: 'Field that carries the token.' }),
      forward_header: Type.String({
        default: 'Authorization',
        description: 'Field that hands on what was in it.',
      }),
      strict: Type.Boolean({ default: true, description: 'Refuse requests without a token.' }),
    },
    openInApisix,
  ),
  credential: Type.Object(
    {
      key: Type.String({ description: 'What `kid` says, unique among all consumers.', 'x-secret': true }),
      secret: Type.String({ description: 'The key, 32 bytes.', 'x-secret': true }),
      is_base64_encoded: Type.Optional(Type.Boolean({ description: '`secret` is written in base64url.' })),
    },
    openInApisix,
  ),
  credentialKey: 'key',
  validate({ header, forward_header: forward }) {
    for (const name of [header, forward]) {
      const problem = headerNameProblem(name)
      if (problem !== undefined) return problem
    }
    return undefined
  },
  validateCredential(credential) {
    if (secretOf(credential).length === secretBytes) return undefined
    return credential.is_base64_encoded
      ? 'the secret length after base64 decode should be 32 chars'
      : 'the secret length should be 32 chars'
  },
  create(config, host) {
    const header = headerName(config.header)
    const forward = headerName(config.forward_header)
    const credentials = host.credentials(keyOf)
    const refusal = (status: number, message: string) => ({ status, body: { message } })
    const missing = refusal(403, 'missing JWE token in request')
    const invalid = refusal(400, 'JWE token invalid')
    const noKey = refusal(400, 'missing kid in JWE token')
    const unknownKey = refusal(400, 'invalid kid in JWE token')
    const failed = refusal(400, 'failed to decrypt JWE token')

    return {
      request({ request: { headers } }) {
        const field = headers.get(header.lower)
        if (field === undefined) {
          if (config.strict) return missing
          // Nobody but this policy says what was in a token.
          headers.remove(forward)
          return undefined
        }
        const token = readToken(/^[Bb]earer /.test(field) ? field.slice('Bearer '.length) : field)
        if (token === undefined) return invalid
        const { kid } = token.header
        if (kid === undefined || kid === null) return noKey
        const found =
          typeof kid === 'string' ? credentials.find(Buffer.from(kid).toString('latin1')) : undefined
        if (!found) return unknownKey
        const text = decrypt(token, secretOf(found.config))
        if (text === undefined) return failed
        try {
          headers.set(forward, text)
        } catch (error) {
          if (error instanceof InvalidHeaderError) return failed
          throw error
        }
        return undefined
      },
    }
  },
})

function secretOf({ secret, is_base64_encoded: isEncoded }: Key): Buffer {
  return Buffer.from(secret, isEncoded ? 'base64url' : 'utf8')
}
