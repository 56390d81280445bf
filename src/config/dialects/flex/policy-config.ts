/** Configuration of policies that are no policies here, but fields of listeners, upstreams and routes. */
import { copy } from '../../copy.ts'
import { below, type Report } from '../../report.ts'
import { checkSchema } from '../../schema.ts'
import type { Static, TObject } from '../../type.ts'
import type { Applied } from './applied.ts'

/** With its defaults filled in; undefined: it is not sound, and the report says so. */
export function checkConfig<Schema extends TObject>(
  schema: Schema,
  { config, configPlace }: Applied,
  report: Report,
): Static<Schema> | undefined {
  const value = copy(config) as Static<Schema>
  const problems = checkSchema(schema, value)
  let isSound = true
  for (const { path, ...entry } of problems) {
    const place = below(configPlace, ...path)
    report.add(place, entry)
    const isTolerated = report.tolerates(place, entry.code)
    if (!isTolerated && (entry.severity ?? 'error') === 'error') isSound = false
  }
  return isSound ? value : undefined
}
