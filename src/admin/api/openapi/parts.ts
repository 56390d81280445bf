/** What the parts of the OpenAPI document have in common. */

export type Json = Record<string, unknown>

export const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` })

export const json = (schema: Json): Json => ({ 'application/json': { schema } })
export const answer = (description: string, schema: Json): Json => ({ description, content: json(schema) })

/** Names of parameters that the document defines. */
export const parameters = (...names: string[]) =>
  names.map((name) => ({ $ref: `#/components/parameters/${name}` }))

export const failures: Json = { default: { $ref: '#/components/responses/Failure' } }
