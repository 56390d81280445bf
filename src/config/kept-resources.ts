/**
 * The kinds of resource that the Admin API takes and that are not part of a plan themselves: definitions of gRPC messages,
 * which no traffic asks for yet, as Apache APISIX 3.18 has them; and API7's certificates.
 */
import { bookkeeping, desc, labels, name, ownId } from './resources.ts'
import { caCertificateSchema, certificateSchema, sniSchema } from './sni-resources.ts'
import { Type } from './type.ts'

export const protoSchema = Type.Object(
  {
    id: ownId('definition'),
    name: name(),
    desc: desc(),
    labels: labels(),
    content: Type.String({
      minLength: 1,
      maxLength: 1_048_576,
      description: 'The text of a `.proto` file, or a compiled descriptor in Base64.',
    }),
    ...bookkeeping(),
  },
  { description: 'Definitions of gRPC messages.' },
)

/** By the kind's name in the Admin API. */
export const keptSchemas = {
  protos: protoSchema,
  certificates: certificateSchema,
  ca_certificates: caCertificateSchema,
  snis: sniSchema,
} as const
