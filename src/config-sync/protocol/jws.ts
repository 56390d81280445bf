/**
 * JWS (RFC 7515) with EdDSA (RFC 8037), in its compact form and in one spelling only: the header's three members stand
 * in one order, so that nothing of it is parsed before it is verified and nothing in it can be chosen by an attacker but
 * the name of a key.
 */
import { type KeyObject, sign, verify } from 'node:crypto'
import { keyIdOf, publicKeyOf } from './keys.ts'
import { Refusal } from './refusal.ts'

/** What is signed; a signature for one is none for another. */
export type JwsType = 'sluice-keys+jws' | 'sluice-bundle+jws'

export interface Jws {
  /** Of the key that is said to have signed it. */
  keyId: string
  /** Not verified yet. */
  payload: Buffer
  signed: Buffer
  signature: Buffer
}

const signatureBytes = 64

/** @param key private, Ed25519 */
export function signJws(type: JwsType, payload: string, key: KeyObject): string {
  const signed = `${encode(header(type, keyIdOf(publicKeyOf(key))))}.${encode(payload)}`
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
}

/** @throws Refusal `malformed` */
export function readJws(type: JwsType, text: string): Jws {
  const parts = text.split('.')
  if (parts.length !== 3) throw new Refusal('malformed', 'it is no signature in three parts')
  const [head, payload, signature] = parts.map(decode) as [Buffer, Buffer, Buffer]
  const keyId = /"kid":"([A-Za-z0-9_-]{43})"/.exec(head.toString('latin1'))?.[1] ?? ''
  if (head.toString('latin1') !== header(type, keyId)) {
    throw new Refusal('malformed', `its header is not that of ${type}, signed with EdDSA`)
  }
  if (signature.length !== signatureBytes)
    throw new Refusal('malformed', 'its signature is not 64 bytes long')
  return { keyId, payload, signed: Buffer.from(`${parts[0]}.${parts[1]}`), signature }
}

/** @throws Refusal `bad-signature` */
export function verifyJws({ signed, signature }: Jws, key: KeyObject): void {
  if (!verify(null, signed, key, signature)) {
    throw new Refusal('bad-signature', 'the signature does not belong to what was sent')
  }
}

function header(type: JwsType, keyId: string): string {
  return `{"alg":"EdDSA","kid":"${keyId}","typ":"${type}"}`
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}

/** Strict: of all spellings of the same bytes, one is taken. */
function decode(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw new Refusal('malformed', 'a part of it is not base64url')
  return bytes
}
