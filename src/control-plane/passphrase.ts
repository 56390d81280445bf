/** Texts under a passphrase: scrypt (RFC 7914), then AES-256-GCM. */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'

/** 128 MiB and some tenths of a second. */
const cost = { N: 131_072, r: 8, p: 1, maxmem: 256 * 1024 * 1024 }
const algorithm = 'aes-256-gcm'

interface SealedText {
  sealed: 'scrypt+aes-256-gcm'
  salt: string
  iv: string
  tag: string
  text: string
}

export class WrongPassphrase extends Error {}

export function sealText(text: string, passphrase: string): string {
  const salt = randomBytes(16)
  const iv = randomBytes(12)
  const cipher = createCipheriv(algorithm, keyOf(passphrase, salt), iv)
  const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  const sealed: SealedText = {
    sealed: 'scrypt+aes-256-gcm',
    salt: salt.toString('base64'),
    iv: iv.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    text: encrypted.toString('base64'),
  }
  return `${JSON.stringify(sealed, null, 2)}\n`
}

export const isSealed = (text: string): boolean => text.trimStart().startsWith('{')

/** @throws WrongPassphrase */
export function unsealText(text: string, passphrase: string): string {
  try {
    const { salt, iv, tag, text: encrypted } = JSON.parse(text) as SealedText
    const key = keyOf(passphrase, Buffer.from(salt, 'base64'))
    const decipher = createDecipheriv(algorithm, key, Buffer.from(iv, 'base64'), { authTagLength: 16 })
    decipher.setAuthTag(Buffer.from(tag, 'base64'))
    return decipher.update(Buffer.from(encrypted, 'base64'), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    throw new WrongPassphrase('the passphrase does not open it')
  }
}

const keyOf = (passphrase: string, salt: Buffer) => scryptSync(passphrase, salt, 32, cost)
