import { checksSchema } from '../../config/health-checks.ts'
import { upstreamAnnotation } from '../../config/policy-upstreams.ts'
import { type UpstreamInput, upstreamSchema } from '../../config/resources.ts'
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
    'x-refers-to': 'consumers',
    description: 'Consumer that stands in for a caller who is not authenticated.',
  }),
)

/**
 * For schemas of policies that are APISIX's: theirs let fields pass that they do not know. Here such a field is a finding
 * in files, and is left out with the Admin API, whose schemas and words are those of APISIX.
 */
export const openInApisix = { 'x-apisix': { additionalProperties: undefined } }

/** For maps below it in which APISIX, too, refuses fields that it does not know. */
export const closedInApisix = { 'x-apisix': { additionalProperties: false } }

/** An upstream that stands in a policy's configuration; `host.upstream({ path })` is what requests can be sent to. */
export const inlineUpstream = (description: string) =>
  Type.Optional(Type.Unsafe<UpstreamInput>({ ...upstreamSchema, description, [upstreamAnnotation]: true }))

/** For a schema: an upstream follows from the value, and is watched like any other; `host.upstream({ path })` tells of it. */
export function derivedUpstream(derive: (value: never) => UpstreamInput | undefined): object {
  return { [upstreamAnnotation]: derive }
}

/** Health checks of an upstream. */
export const activeChecks = Type.Optional(
  Type.Unsafe<NonNullable<UpstreamInput['checks']>>({ ...checksSchema, required: ['active'] }),
)

/** The id of an upstream; `host.upstream({ id })` is what requests can be sent to. */
export const upstreamId = (description: string) =>
  Type.Optional(
    Type.Unsafe<string | number>({
      anyOf: [
        { type: 'string', minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9-_.]+$' },
        { type: 'integer', minimum: 1 },
      ],
      description,
      'x-refers-to': 'upstreams',
    }),
  )
