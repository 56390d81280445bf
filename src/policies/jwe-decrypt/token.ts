import { createDecipheriv } from 'node:crypto'
import { objectOf, partsOf } from '../kit/index.ts'

/** A token of RFC 7516 in its compact form, taken apart and not yet believed. */
export interface EncryptedToken {
  readonly header: Readonly<Record<string, unknown>>
  /** The first part as it came. */
  readonly protectedHeader: string
  readonly iv: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

const base64url = /^[A-Za-z0-9_-]*$/

/** Undefined: not five parts of base64url with a JSON object in the first. */
export function readToken(text: string): EncryptedToken | undefined {
  const parts = partsOf(text, 5)
  if (!parts?.every((part) => base64url.test(part))) return undefined
  const [protectedHeader, , iv, ciphertext, tag] = parts as [string, string, string, string, string]
  const header = objectOf(protectedHeader)
  if (header === undefined) return undefined
  const bytes = (part: string) => Buffer.from(part, 'base64url')
  return { header, protectedHeader, iv: bytes(iv), ciphertext: bytes(ciphertext), tag: bytes(tag) }
}

/**
 * What was encrypted with this key (`dir`, `A256GCM`), one character a byte; undefined when it was not. The header is
 * part of what the tag stands for (RFC 7516 5.2); tokens that APISIX made leave it out and are good too.
 */
export function decrypt(token: EncryptedToken, key: Buffer): string | undefined {
  const { alg = 'dir', enc = 'A256GCM' } = token.header
  if (alg !== 'dir' || enc !== 'A256GCM' || token.tag.length !== 16 || token.iv.length === 0) return undefined
  return open(token, key, Buffer.from(token.protectedHeader, 'latin1')) ?? open(token, key, Buffer.alloc(0))
}

function open({ iv, ciphertext, tag }: EncryptedToken, key: Buffer, also: Buffer): string | undefined {
  try {
    const cipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })
    cipher.setAAD(also).setAuthTag(tag)
    return Buffer.concat([cipher.update(ciphertext), cipher.final()]).toString('latin1')
  } catch {
    return undefined
  }
}
