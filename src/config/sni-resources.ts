/**
 * Certificates as API7 has them: a certificate, an authority and a name are resources of their own; names say which of the
 * others clients see, and upstreams which of them they are shown and judged by. What comes of each is an entry of `ssls`.
 */

import { certificateOf, pairError } from './certificate.ts'
import { tlsProtocols } from './plan.ts'
import type { SslInput } from './resources.ts'
import { bookkeeping, certificate, desc, labels, name, ownId, privateKey, serverName } from './resources.ts'
import { isSecretReference } from './secret-reference.ts'
import { type Static, Type } from './type.ts'

const pair = {
  cert: certificate('The certificate, with its chain, in PEM.'),
  key: privateKey('Its private key, in PEM. Never answered.'),
}

export const certificateSchema = Type.Object(
  { id: ownId('certificate'), name: name(), desc: desc(), labels: labels(), ...pair, ...bookkeeping() },
  { description: 'Certificates that names show. `cert` and `key` may be references to secrets.' },
)

export const caCertificateSchema = Type.Object(
  {
    id: ownId('authority'),
    name: name(),
    desc: desc(),
    labels: labels(),
    cert: certificate('Certificates of the authority, in PEM.'),
    ...bookkeeping(),
  },
  { description: 'Authorities that sign the certificates of clients and of upstreams.' },
)

const reference = (description: string) =>
  Type.String({ pattern: '^[a-zA-Z0-9-_.]+$', maxLength: 256, description })

export const sniSchema = Type.Object(
  {
    id: ownId('name'),
    name: name(),
    desc: desc(),
    labels: labels(),
    domain: serverName('What clients ask for; a leading `*` stands for one label.'),
    certificates: Type.Array(Type.Union([reference('Its id.'), Type.Object(pair)]), {
      minItems: 1,
      description: 'Ids of certificates, or certificates themselves; several are of different kinds of key.',
    }),
    mtls: Type.Optional(
      Type.Object(
        {
          enabled: Type.Optional(
            Type.Boolean({ default: false, description: 'Whether clients have to show one.' }),
          ),
          ca_certificates: Type.Optional(
            Type.Array(reference('Its id.'), {
              description: 'Ids of the authorities, one of which signed it.',
            }),
          ),
        },
        { description: 'Certificates of clients.' },
      ),
    ),
    ssl_protocols: Type.Optional(
      Type.Array(Type.Enum(tlsProtocols), {
        maxItems: 3,
        uniqueItems: true,
        description: 'Versions of TLS for this name, without a gap. Default: `gateway.tls.protocols`.',
      }),
    ),
    ...bookkeeping(),
  },
  { description: 'Names, each with the certificates that are shown to clients who ask for it.' },
)

type Certificate = Static<typeof certificateSchema>
type CaCertificate = Static<typeof caCertificateSchema>
type Sni = Static<typeof sniSchema>

/** Finds a resource of these kinds by its id. */
export type FindKept = (kind: string, id: string) => object | undefined

const prefixes = { certificates: 'certificate', ca_certificates: 'authority', snis: 'sni' } as const

export const certificateKinds = Object.keys(prefixes) as readonly CertificateKind[]
export type CertificateKind = keyof typeof prefixes

export const isCertificateKind = (kind: string): kind is CertificateKind => Object.hasOwn(prefixes, kind)

/** Of the entry of `ssls` that comes of such a resource. */
export const sslIdOf = (kind: CertificateKind, id: string | number): string => `${prefixes[kind]}.${id}`

/** The entry of `ssls`; undefined: what a name refers to is not there. */
export function sslOf(kind: CertificateKind, resource: object, find: FindKept): SslInput | undefined {
  if (kind === 'snis') return sslOfSni(resource, find)
  const { id, cert, key } = resource as Certificate
  const made = sslIdOf(kind, id!)
  return kind === 'certificates'
    ? { id: made, type: 'client', cert, key }
    : { id: made, type: 'authority', cert }
}

function sslOfSni(sni: object, find: FindKept): SslInput | undefined {
  const { id, domain, certificates, mtls, ssl_protocols: protocols } = sni as Sni
  const pairs = certificates.map((one) =>
    typeof one === 'string' ? (find('certificates', one) as Certificate | undefined) : one,
  )
  const authorities = mtls?.enabled === true ? (mtls.ca_certificates ?? []) : []
  const cas = authorities.map((one) => (find('ca_certificates', one) as CaCertificate | undefined)?.cert)
  const [first, ...further] = pairs
  if (first === undefined || further.includes(undefined) || cas.includes(undefined)) return undefined
  return {
    id: sslIdOf('snis', id!),
    snis: [domain],
    cert: first.cert,
    key: first.key,
    ...(further.length > 0 && {
      certs: further.map((one) => one!.cert),
      keys: further.map((one) => one!.key),
    }),
    ...(cas.length > 0 && { client: { ca: cas.join('\n') } }),
    ...(protocols !== undefined && { ssl_protocols: protocols }),
  }
}

/** What is wrong with a name that fits its schema. `absent` words what it refers to and is not there. */
export function sniError(sni: object, find: FindKept, absent = absentInApisix): string | undefined {
  const { certificates, mtls } = sni as Sni
  for (const one of certificates) {
    const fault = typeof one === 'string' ? missing('certificates', one) : pairError(one.cert, one.key)
    if (fault !== undefined) return fault
  }
  const { enabled = false, ca_certificates: authorities = [] } = mtls ?? {}
  if (enabled && authorities.length === 0) return 'mtls needs ca_certificates when it is enabled'
  for (const one of authorities) {
    const fault = missing('ca_certificates', one)
    if (fault !== undefined) return fault
  }
  return undefined

  function missing(kind: CertificateKind, id: string): string | undefined {
    return find(kind, id) === undefined ? absent(kind, id) : undefined
  }
}

/** APISIX's words for a reference that leads nowhere. */
export function absentInApisix(kind: CertificateKind, id: string | number): string {
  const noun = kind === 'ca_certificates' ? 'ca certificate' : 'certificate'
  return `failed to fetch ${noun} info by ${noun} id [${id}], response code: 404`
}

export const absentInFiles = (kind: CertificateKind, id: string | number): string =>
  `none of the ${kind} has the id ${id}`

/** An authority cannot be kept elsewhere. */
export function caCertificateError({ cert }: { cert?: string }): string | undefined {
  if (cert === undefined) return undefined
  return isSecretReference(cert) || certificateOf(cert) === undefined
    ? 'cert is no certificate in PEM'
    : undefined
}
