/** The two policies that run functions in a phase: they differ in when, and in nothing else. */
import { Type } from '../../../config/type.ts'
import { openInApisix } from '../fields.ts'
import { definePolicy } from '../policy.ts'
import { handlersOf, phases, stageOf } from './phases.ts'

/** @param kind of functions, where the field `phase` does not say it: a key of `shapes` in `config/ported-lua.ts` */
export const ownFunctions = (description: string, more: object = {}, kind: string | true = true) =>
  Type.Array(Type.String({ minLength: 1, 'x-function': kind }), { ...more, description })

export const namedModules =
  'Modules, each with `#NAME` behind it for another export than the default one: paths relative to the configuration file, or absolute; through the Admin API, relative to `gateway.functions.folder`.'

/** @param priority as in APISIX: a high one runs before the other policies of its phase, a low one after */
export function serverless(name: string, priority: number, summary: string) {
  return definePolicy({
    name,
    summary,
    details:
      'Functions are TypeScript or JavaScript: [Serverless](../guides/serverless.md). Lua is a finding, with the function ' +
      'that takes its place as a hint. A function that throws denies the request with 500; one that gives back something ' +
      'that is no answer does too. In `header_filter` and `body_filter` too, the functions of `serverless-pre-function` run ' +
      'before those of other policies, unless `_meta.priority` says otherwise.',
    stage: 'limit',
    priority,
    /** Answers are shown to policies in reverse. */
    placement: ({ phase = 'access' }) => ({
      stage: stageOf(phase),
      priority: phase === 'header_filter' || phase === 'body_filter' ? -priority : priority,
    }),
    config: Type.Object(
      {
        phase: Type.Optional(
          Type.Enum(phases, { default: 'access', description: 'When the functions run.' }),
        ),
        functions: ownFunctions(`${namedModules} They run in this order.`, { minItems: 1 }),
      },
      openInApisix,
    ),
    create({ phase = 'access', functions }, host) {
      return handlersOf(
        phase,
        functions.map((key) => host.ownFunction(key)),
        host as never,
      )
    },
  })
}
