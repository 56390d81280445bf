/**
 * A registration token as it is pasted: a secret, and the hash of what is to be trusted. Whoever holds it needs no other
 * proof of whom it talks to.
 */
export interface Token {
  /** 32 bytes in base64url; the control plane keeps its hash. */
  secret: string
  /** SHA-256 of the trust document's bytes, in hexadecimal digits; absent from tokens of others. */
  trust?: string
}

/** `SECRET.HASH` */
export function writeToken({ secret, trust }: Required<Token>): string {
  return `${secret}.${Buffer.from(trust, 'hex').toString('base64url')}`
}

/** A token of another form is a secret without a hash. */
export function readToken(text: string): Token {
  const [, secret, hash] = /^([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/.exec(text) ?? []
  if (secret === undefined || hash === undefined) return { secret: text }
  return { secret, trust: Buffer.from(hash, 'base64url').toString('hex') }
}
