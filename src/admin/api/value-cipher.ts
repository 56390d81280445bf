/**
 * Encryption of what the store keeps on the disk: AES-256-GCM over the whole of a resource, bound to its kind and id, so
 * that neither a byte nor two rows can be exchanged unnoticed. The first key of the ring encrypts; all of them decrypt,
 * so that a new key is put in front and the old one leaves at the next start but one.
 *
 * Apache APISIX encrypts single fields for etcd, where others read the rest. Nobody else reads this file, so nothing of
 * a resource has to stay legible, and no field can be forgotten.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const prefix = 'aes256gcm:'
/** Bytes. 96 bits is what GCM is made for (NIST SP 800-38D, 8.2). */
const nonceSize = 12
const tagSize = 16

export interface KeyRing {
  /** Texts of at least 16 characters; empty: nothing is encrypted. */
  keys: readonly string[]
  /** False: what is written from here on stays legible, and what was encrypted can still be read. */
  encrypt: boolean
}

export class ValueCipher {
  readonly #keys: readonly Buffer[]
  readonly #encrypts: boolean

  constructor({ keys, encrypt }: KeyRing) {
    this.#keys = keys.map((key) => Buffer.from(hkdfSync('sha256', key, '', 'resources of the Admin API', 32)))
    this.#encrypts = encrypt && keys.length > 0
  }

  /** `owner`: of the value, the same when it is opened. */
  seal(value: string, owner: string): string {
    if (!this.#encrypts) return value
    const nonce = randomBytes(nonceSize)
    const cipher = createCipheriv('aes-256-gcm', this.#keys[0]!, nonce).setAAD(Buffer.from(owner))
    const sealed = [nonce, cipher.update(value, 'utf8'), cipher.final()]
    return prefix + Buffer.concat([...sealed, cipher.getAuthTag()]).toString('base64')
  }

  /**
   * `isCurrent`: it is written as `seal` would write it today.
   * @throws when no key of the ring opens it
   */
  open(text: string, owner: string): { value: string; isCurrent: boolean } {
    if (!text.startsWith(prefix)) return { value: text, isCurrent: !this.#encrypts }
    const sealed = Buffer.from(text.slice(prefix.length), 'base64')
    for (const [index, key] of this.#keys.entries()) {
      const value = decrypted(sealed, key, owner)
      if (value !== undefined) return { value, isCurrent: this.#encrypts && index === 0 }
    }
    throw new Error(
      this.#keys.length === 0
        ? 'resources in it are encrypted, and there is no key for them (gateway.admin.keyring)'
        : `no key of gateway.admin.keyring opens ${owner}, or it was tampered with`,
    )
  }
}

/** Undefined: the key is another one, or the text is not what was sealed. */
function decrypted(sealed: Buffer, key: Buffer, owner: string): string | undefined {
  if (sealed.length < nonceSize + tagSize) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceSize))
  decipher.setAAD(Buffer.from(owner)).setAuthTag(sealed.subarray(-tagSize))
  try {
    const text = decipher.update(sealed.subarray(nonceSize, -tagSize))
    return Buffer.concat([text, decipher.final()]).toString()
  } catch {
    return undefined
  }
}
