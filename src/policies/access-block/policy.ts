import { rejection } from '../kit/flex/rejection.ts'
import { definePolicy, Type } from '../kit/index.ts'

const blocked = rejection(403, 'Access is blocked')

/** Nobody passes; the Flex policy of that name. */
export default definePolicy({
  name: 'access-block',
  summary: 'Rejects every request.',
  details:
    'A rejection is 403 with `{"error":"..."}`. With `rules` of a binding, or `_meta.filter`, it blocks a part of an API.',
  stage: 'authorize',
  priority: 2990,
  config: Type.Object({}, { additionalProperties: false }),
  create: () => ({ request: () => blocked }),
})
