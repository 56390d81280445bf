/** Small JSON documents of the protocol: parsed strictly, and checked against their schema. */
import { scanJson } from '../../config/json-text.ts'
import { formatPath } from '../../config/problem.ts'
import { checkSchema } from '../../config/schema.ts'
import type { Static, TSchema } from '../../config/type.ts'
import { Refusal } from './refusal.ts'

/**
 * The document, with the schema's defaults.
 * @throws Refusal `malformed`: no JSON, a member twice, nested too deeply, or not of the schema's form
 */
export function readDocument<Schema extends TSchema>(schema: Schema, bytes: Buffer | string): Static<Schema> {
  const text = typeof bytes === 'string' ? bytes : bytes.toString('utf8')
  const { syntaxError, duplicateKeys } = scanJson(text)
  if (syntaxError !== undefined) throw new Refusal('malformed', `it is no JSON: ${syntaxError.message}`)
  if (duplicateKeys.length > 0) throw new Refusal('malformed', 'it has a member twice')
  const value: unknown = JSON.parse(text)
  const [problem] = checkSchema(schema, value)
  if (problem !== undefined) {
    throw new Refusal('malformed', `${formatPath(problem.path) || 'the document'}: ${problem.message}`)
  }
  return value as Static<Schema>
}
