import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { Hmac } from '../hmac.ts'
import type { Token } from './token.ts'

/** Signature algorithms of RFC 7518 and RFC 8037, with the hash of each. */
const hashes = {
  HS256: 'sha256',
  HS384: 'sha384',
  HS512: 'sha512',
  RS256: 'sha256',
  RS384: 'sha384',
  RS512: 'sha512',
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  PS256: 'sha256',
  PS384: 'sha384',
  PS512: 'sha512',
  EdDSA: null,
} as const

export type Algorithm = keyof typeof hashes
export const algorithms = Object.keys(hashes) as [Algorithm, ...Algorithm[]]

/** The key types (RFC 7518 3.1) and curves that an algorithm works with: a key of another kind verifies nothing. */
const curves: Partial<Record<Algorithm, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}

export interface JwtKey {
  algorithm?: Algorithm
  secret?: string
  base64_secret?: boolean
  public_key?: string
}

/** Says whether a token was signed with this key. Its own `alg` decides nothing: it has to be the key's. */
export type Verifier = (token: Token) => boolean

/** @throws when the key cannot be used with its algorithm */
export function verifierOf(key: JwtKey): Verifier {
  const algorithm = key.algorithm ?? 'HS256'
  const signature = isSecret(algorithm) ? secretVerifier(algorithm, key) : publicVerifier(algorithm, key)
  return (token) => token.header.alg === algorithm && signature(token)
}

export function isSecret(algorithm: Algorithm): boolean {
  return algorithm.startsWith('HS')
}

function secretVerifier(algorithm: Algorithm, { secret = '', base64_secret: encoded }: JwtKey): Verifier {
  const key = Buffer.from(secret, encoded ? 'base64' : 'utf8')
  const hmac = new Hmac(hashes[algorithm] as 'sha256' | 'sha384' | 'sha512', key)
  return ({ signed, signature }) => hmac.verify(signed, signature)
}

function publicVerifier(algorithm: Algorithm, { public_key: text = '' }: JwtKey): Verifier {
  return keyVerifier(algorithm, createPublicKey(text))
}

/** @throws when the key cannot be used with the algorithm */
export function keyVerifier(algorithm: Algorithm, key: KeyObject): Verifier {
  if (!fits(key, algorithm)) throw new Error(`this public key is not one for ${algorithm}`)
  const options = {
    key,
    ...(algorithm.startsWith('ES') && { dsaEncoding: 'ieee-p1363' as const }),
    ...(algorithm.startsWith('PS') && {
      padding: constants.RSA_PKCS1_PSS_PADDING,
      // As long as the hash (RFC 7518 3.5).
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    }),
  }
  return ({ header, signed, signature }) =>
    header.alg === algorithm && verify(hashes[algorithm], Buffer.from(signed), options, signature)
}

/** Whether the algorithm is one for this kind of key. */
export function fits(
  { asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject,
  algorithm: Algorithm,
): boolean {
  if (algorithm === 'EdDSA') return type === 'ed25519' || type === 'ed448'
  if (algorithm.startsWith('ES')) return type === 'ec' && details?.namedCurve === curves[algorithm]
  return type === 'rsa' || (type === 'rsa-pss' && algorithm.startsWith('PS'))
}
