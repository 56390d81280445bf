import { type ExchangeRequest, Hmac } from '../kit/index.ts'

/** Names that requests use, with the hash of each. */
const hashes = { 'hmac-sha1': 'sha1', 'hmac-sha256': 'sha256', 'hmac-sha512': 'sha512' } as const

export type Algorithm = keyof typeof hashes
export const algorithms = Object.keys(hashes) as [Algorithm, ...Algorithm[]]

/** What stands in `Authorization: Signature ...`, one character a byte. */
export interface SignatureParameters {
  readonly keyId: string | undefined
  readonly algorithm: string | undefined
  readonly signature: string | undefined
  /** Names of what was signed, in order and as they were written. */
  readonly headers: readonly string[]
}

const scheme = 'Signature'
const parameter = /[\t ]*([A-Za-z0-9]+)="([^"]*)"[\t ]*(?:,|$)/y

/** Undefined: another scheme, no list of `name="value"`, or a name that stands there twice. */
export function readParameters(authorization: string): SignatureParameters | undefined {
  if (!authorization.startsWith(scheme)) return undefined
  const values = new Map<string, string>()
  parameter.lastIndex = scheme.length
  while (parameter.lastIndex < authorization.length) {
    const match = parameter.exec(authorization)
    if (match === null || values.has(match[1]!)) return undefined
    values.set(match[1]!, match[2]!)
  }
  return {
    keyId: values.get('keyId'),
    algorithm: values.get('algorithm'),
    signature: values.get('signature'),
    headers: values.get('headers')?.split(' ') ?? [],
  }
}

/**
 * The text that is signed: the key's id, then a line for each name. A field that comes several times counts as a whole
 * (draft-cavage-http-signatures-12, 2.3), so that nobody adds one to a request that was signed.
 */
export function signingText(keyId: string, names: readonly string[], request: ExchangeRequest): string {
  let text = `${keyId}\n`
  for (const name of names) {
    const value = request.headers.getAll(name.toLowerCase())
    if (value !== undefined) text += `${name}: ${value}\n`
    else if (name === '@request-target') text += `${request.method} ${request.target}\n`
  }
  return text
}

/** A key, made ready for each algorithm when that is first used. */
export class SigningKey {
  readonly #secret: string
  readonly #hmacs = new Map<Algorithm, Hmac>()

  constructor(secret: string) {
    this.#secret = secret
  }

  /** `presented` in base64; `text` one character a byte. Takes the same time for every wrong signature. */
  isSigned(algorithm: Algorithm, text: string, presented: string): boolean {
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(presented)) return false
    let hmac = this.#hmacs.get(algorithm)
    if (hmac === undefined) {
      hmac = new Hmac(hashes[algorithm], Buffer.from(this.#secret))
      this.#hmacs.set(algorithm, hmac)
    }
    return hmac.verify(text, Buffer.from(presented, 'base64'))
  }
}
