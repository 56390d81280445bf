import { Type } from '../../config/type.ts'

/** Settings that several authentication policies share. */

/** What may stand between the quotes of a `realm` without escapes. */
export const realm = (name: string) =>
  Type.String({
    default: name,
    minLength: 1,
    maxLength: 128,
    pattern: '^[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]+$',
    description: 'Realm in `WWW-Authenticate` of a rejection.',
  })

export const anonymousConsumer = Type.Optional(
  Type.String({
    minLength: 1,
    description: 'Consumer that stands in for a caller who is not authenticated.',
  }),
)
