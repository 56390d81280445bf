import { Type } from '../../config/type.ts'

/** Settings that several authentication policies share. */

/** What may stand between the quotes of a `realm` without escapes. */
export const realm = (name: string) =>
  Type.String({
    default: name,
    minLength: 1,
    maxLength: 128,
    pattern: '^[ -!#-[\\]-~]+$',
    description: 'Realm in `WWW-Authenticate` of a rejection.',
  })

export const anonymousConsumer = Type.Optional(
  Type.String({
    minLength: 1,
    description: 'Consumer that stands in for a caller who is not authenticated.',
  }),
)
