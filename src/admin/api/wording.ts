/** Errors of a schema as one line. */
import { apisixError } from '../../config/apisix-wording.ts'
import { formatPath } from '../../config/problem.ts'
import { checkSchema, type ValidationOptions } from '../../config/schema.ts'
import type { TSchema } from '../../config/type.ts'

/**
 * The first thing that is wrong, in APISIX's words; undefined: nothing, and the schema's defaults are filled in. What
 * APISIX has and this version has not, and what APISIX's validator lets pass, is said in our own words.
 */
export function schemaError(
  schema: TSchema,
  value: unknown,
  options?: ValidationOptions,
): string | undefined {
  const problems = checkSchema(schema, value, options)
  const theirs = apisixError(schema, value)
  if (theirs !== undefined) return theirs
  const problem = problems.find(({ code }) => code.startsWith('unsupported')) ?? problems[0]
  if (problem === undefined) return undefined
  const { path, message } = problem
  return path.length === 0 ? message : `property "${formatPath(path)}" validation failed: ${message}`
}
