import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Texts that only this gateway can read and make: AES-256-GCM under a key that is derived from a secret, bound to what they
 * are for.
 */
export class Seal {
  readonly #key: Buffer
  readonly #purpose: string

  /** @param purpose what was sealed for something else is not opened */
  constructor(secret: string, purpose: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'sluice openid-connect session', 32))
    this.#purpose = purpose
  }

  /** In base64url. @param place where it is kept: it cannot be put elsewhere */
  close(value: unknown, place = ''): string {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(this.#context(place))
    const text = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()])
    return Buffer.concat([iv, text, cipher.getAuthTag()]).toString('base64url')
  }

  /** Undefined: it was made by someone else, or for something else. */
  open(text: string, place = ''): unknown {
    const sealed = Buffer.from(text, 'base64url')
    if (sealed.length < 28) return undefined
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, 12), { authTagLength: 16 })
      cipher.setAAD(this.#context(place)).setAuthTag(sealed.subarray(-16))
      return JSON.parse(Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]).toString())
    } catch {
      return undefined
    }
  }

  #context(place: string): Buffer {
    return Buffer.from(this.#purpose + place)
  }
}
