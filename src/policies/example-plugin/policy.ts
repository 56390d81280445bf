import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** Stands for APISIX's `example-plugin`, with which its authors show how plugins are written. */
export default definePolicy({
  name: 'example-plugin',
  summary: 'Accepted for configurations that have it; it logs what it is configured with, at level debug.',
  details: '`GET /v1/plugin/example-plugin/hello` on the control port answers `world`.',
  stage: 'authorize',
  priority: 0,
  config: Type.Object(
    {
      i: Type.Number({ minimum: 0, description: 'A number.' }),
      s: Type.Optional(Type.String({ description: 'A text.' })),
      t: Type.Optional(Type.Array(Type.Unsafe<unknown>({}), { minItems: 1, description: 'A list.' })),
      ip: Type.Optional(Type.String({ description: 'Not used.' })),
      port: Type.Optional(Type.Integer({ description: 'Not used.' })),
    },
    openInApisix,
  ),
  metadata: Type.Object(
    {
      ikey: Type.Number({ minimum: 0, description: 'A number.' }),
      skey: Type.String({ description: 'A text.' }),
    },
    openInApisix,
  ),
  create({ i, s }, { log }) {
    return {
      observe: () => log.debug({ i, s }, 'example-plugin saw a request'),
    }
  },
})
