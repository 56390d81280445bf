/** Ed25519 keys that sign configuration, and what they are called. */
import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { type Static, Type } from '../../config/type.ts'

/** A public key as a JWK (RFC 8037), without any other member. */
export const publicKeySchema = Type.Object({
  crv: Type.Literal('Ed25519'),
  kty: Type.Literal('OKP'),
  x: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
})

export type PublicKey = Static<typeof publicKeySchema>

/** @param key private or public, Ed25519 */
export function publicKeyOf(key: KeyObject): PublicKey {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const { x } = publicKey.export({ format: 'jwk' })
  if (key.asymmetricKeyType !== 'ed25519' || x === undefined) throw new TypeError('the key is not Ed25519')
  return { crv: 'Ed25519', kty: 'OKP', x }
}

export function verifierOf({ x }: PublicKey): KeyObject {
  return createPublicKey({ key: { crv: 'Ed25519', kty: 'OKP', x }, format: 'jwk' })
}

/** The key's thumbprint (RFC 7638): 43 characters. A name that is the hash of the key cannot be given to another. */
export function keyIdOf({ x }: PublicKey): string {
  return hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url')
}
