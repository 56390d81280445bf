/** Fields of APISIX that hold Lua. They are refused with what says the same here, and leave everything else to be checked. */
import type { ResourceKind } from './plan.ts'
import { below, type Place, type Report } from './report.ts'

const insteadOf: Readonly<Record<string, string>> = {
  filter_func:
    'Write the condition as vars: `return vars.arg_name == "json"` is `vars: [[arg_name, "==", json]]`, `or` is [OR, ..., ...].',
  script:
    'Use policies under plugins; what none of them does takes a policy of your own (docs/guides/write-a-policy.md).',
  script_id:
    'Use policies under plugins; what none of them does takes a policy of your own (docs/guides/write-a-policy.md).',
}

const fields = Object.entries(insteadOf)

/** The first such field of a resource, with what to write instead. */
export function luaFieldOf(value: Record<string, unknown>): { name: string; instead: string } | undefined {
  for (const [name, instead] of fields) if (Object.hasOwn(value, name)) return { name, instead }
  return undefined
}

/** Takes the fields out of `value`. @returns whether there were any */
export function refuseLua(
  kind: ResourceKind,
  value: Record<string, unknown>,
  place: Place,
  report: Report,
): boolean {
  if (kind !== 'routes' && kind !== 'services') return false
  let found = false
  for (const [field, hint] of fields) {
    if (!Object.hasOwn(value, field)) continue
    delete value[field]
    found = true
    report.add(below(place, field), {
      code: 'unsupported-field',
      at: 'key',
      message: `the field ${field} holds Lua, which does not run here`,
      hint,
    })
  }
  return found
}
