/** The kinds of resource that the Admin API takes and that are not part of a plan themselves: API7's certificates. */
import { caCertificateSchema, certificateSchema, sniSchema } from './sni-resources.ts'

/** By the kind's name in the Admin API. */
export const keptSchemas = {
  certificates: certificateSchema,
  ca_certificates: caCertificateSchema,
  snis: sniSchema,
} as const
