/** Lists in files of kinds that nothing asks for yet: they are checked, and said to have no effect. */
import { keptSchemas } from './kept-resources.ts'
import { below, type Place, type Report } from './report.ts'
import { checkSchema } from './schema.ts'

/** Each with the reason. */
export const dormantResources = {
  protos: 'gRPC is not transcoded by this version yet',
} as const

export const isDormant = (kind: string): kind is keyof typeof dormantResources =>
  Object.hasOwn(dormantResources, kind)

export function checkDormant(
  kind: keyof typeof dormantResources,
  place: Place,
  list: unknown,
  report: Report,
): void {
  if (list === null || (Array.isArray(list) && list.length === 0)) return
  if (!Array.isArray(list)) {
    report.add(place, { code: 'wrong-type', message: 'must be a list' })
    return
  }
  report.add(place, {
    code: 'unsupported-resource',
    severity: 'warning',
    at: 'key',
    message: `${kind} have no effect: ${dormantResources[kind]}`,
    hint: 'They are checked. Keep a gateway that supports them for this part of the configuration.',
  })
  list.forEach((value: unknown, index) => {
    const item = below(place, index)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      report.add(item, { code: 'wrong-type', message: 'must be a map' })
      return
    }
    for (const { path, ...entry } of checkSchema(keptSchemas[kind], structuredClone(value))) {
      report.add(below(item, ...path), entry)
    }
  })
}
