/** Errors of a schema as one line. */
import { formatPath } from '../../config/problem.ts'
import { checkSchema } from '../../config/schema.ts'
import type { TSchema } from '../../config/type.ts'

/** The first thing that is wrong; undefined: nothing, and the schema's defaults are filled in. */
export function schemaError(schema: TSchema, value: unknown): string | undefined {
  const [problem] = checkSchema(schema, value)
  if (problem === undefined) return undefined
  const { path, message } = problem
  return path.length === 0 ? message : `property "${formatPath(path)}" validation failed: ${message}`
}
