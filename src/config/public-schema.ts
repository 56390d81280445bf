import { mapSchemas, publicKeywords, type SchemaMap } from './schema/map.ts'

/** A schema as others may read it (JSON Schema 2020-12): with what it describes, without annotations of ours. */
export const publicSchema = (schema: object): SchemaMap => mapSchemas(schema, publicKeywords)
