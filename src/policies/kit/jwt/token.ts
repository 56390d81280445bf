import { objectOf, partsOf } from './compact.ts'

/** A token of RFC 7519 in its compact form, taken apart and not yet believed. */
export interface Token {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
  /** What was signed. */
  readonly signed: string
  readonly signature: Buffer
}

/**
 * Undefined: not three parts with a JSON object in base64url in the first and the second (RFC 7515 5.2), or a header that
 * names extensions which have to be understood (4.1.11): none is.
 */
export function readToken(text: string): Token | undefined {
  const [header = '', payload = '', signature = ''] = partsOf(text, 3) ?? []
  if (!isBase64url(header) || !isBase64url(payload) || signature === '') return undefined
  const [head, body] = [objectOf(header), objectOf(payload)]
  if (head === undefined || body === undefined || Object.hasOwn(head, 'crit')) return undefined
  return {
    header: head,
    payload: body,
    signed: `${header}.${payload}`,
    // One that is written in any other way is nobody's.
    signature: isBase64url(signature) ? Buffer.from(signature, 'base64url') : Buffer.alloc(0),
  }
}

/** In the one way in which its bytes are written (RFC 4648 3.5): a token that was changed is another token. */
export function isBase64url(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part
}
