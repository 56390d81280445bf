/** A JSON Schema against a value: what does not fit becomes problems in our own words. */
import { describe, type SchemaProblem } from './schema/findings.ts'
import { nodeOf } from './schema/node.ts'
import { type ValidationOptions, validate } from './schema/validation.ts'
import type { TSchema } from './type.ts'

export type { SchemaProblem } from './schema/findings.ts'
export type { ValidationOptions } from './schema/validation.ts'

/**
 * Checks a value and fills the schema's defaults in, in place. No problem: it fits.
 * @throws Error when the schema itself holds what is not understood
 */
export function checkSchema(schema: TSchema, value: unknown, options?: ValidationOptions): SchemaProblem[] {
  return validate(nodeOf(schema), value, options).map(describe)
}
