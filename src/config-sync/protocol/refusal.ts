/** Why a bundle is not used. The codes are part of the protocol: acknowledgements, metrics and logs carry them. */
export const refusalCodes = [
  'too-large',
  'malformed',
  'unknown-root',
  'unknown-key',
  'bad-signature',
  'keys-rolled-back',
  'keys-expired',
  'key-revoked',
  'key-expired',
  'key-not-yet-valid',
  'key-of-other-group',
  'other-group',
  'rolled-back',
  'equivocation',
  'expired',
  'hash-mismatch',
  'patch-mismatch',
  'invalid-configuration',
  'not-applied',
] as const

export type RefusalCode = (typeof refusalCodes)[number]

/** The message is a sentence for operators; it quotes nothing of what was not verified. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: RefusalCode

  constructor(code: RefusalCode, message: string) {
    super(message)
    this.code = code
  }
}
