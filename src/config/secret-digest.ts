/** Two sides can find out whether they hold the same secret without either showing it to the other. */
import { createHmac } from 'node:crypto'

/** Of a secret, under a nonce that is made for one comparison. Base64url. */
export function secretDigest(nonce: string, secret: unknown): string {
  return createHmac('sha256', nonce).update(JSON.stringify(secret)).digest('base64url')
}
