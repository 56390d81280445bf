import { checkSchema } from '../../config/schema.ts'
import type { TSchema } from '../../config/type.ts'

/** What is wrong with a value, in a few words; undefined: it fits the schema. */
export type SchemaTest = (value: unknown) => string | undefined

/** A JSON Schema that stands in a configuration. `problem`: why it is none. */
export function schemaTest(schema: unknown): SchemaTest | { problem: string } {
  const test: SchemaTest = (value) => {
    // Defaults are filled in, in place.
    const [problem] = checkSchema(schema as TSchema, structuredClone(value))
    return problem && `${['claims', ...problem.path].join('.')} ${problem.message}`
  }
  try {
    test({})
    return test
  } catch (error) {
    return { problem: (error as Error).message }
  }
}
