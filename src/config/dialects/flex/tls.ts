/** The policies `tls` and `tls-outbound`: certificates of listeners, and what upstreams are shown. */

import type { TlsProtocol } from '../../plan.ts'
import { below, type Place, type Report } from '../../report.ts'
import { type Static, Type } from '../../type.ts'
import { tlsFields } from './resources.ts'
import type { Translation } from './translation.ts'

export const tlsSchema = Type.Object({
  ...tlsFields,
  certificate: Type.Object({
    key: Type.String({ minLength: 1, 'x-secret': true }),
    crt: Type.String({ minLength: 1 }),
  }),
  requireClientCertificate: Type.Boolean({ default: false }),
})
export type TlsConfig = Static<typeof tlsSchema>

export const tlsOutboundSchema = Type.Object({
  ...tlsFields,
  skipValidation: Type.Boolean({ default: false }),
})
type TlsOutboundConfig = Static<typeof tlsOutboundSchema>

/** By the names of IANA: those of OpenSSL, before TLS 1.3. */
const cipherNames: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
}
/** Of TLS 1.3, where they are fixed. */
const fixedCiphers = new Set([
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
])

/** Cipher suites as OpenSSL calls them; undefined: none that can be chosen are named. */
export function ciphersOf(
  names: readonly string[] | undefined,
  place: Place,
  report: Report,
): string | undefined {
  const found: string[] = []
  for (const [index, name] of (names ?? []).entries()) {
    if (fixedCiphers.has(name)) continue
    const known = cipherNames[name] ?? (Object.values(cipherNames).includes(name) ? name : undefined)
    if (known !== undefined) found.push(known)
    else {
      report.add(below(place, 'ciphers', index), {
        code: 'unsupported-value',
        message: 'there is no such cipher suite here',
        hint: `Known: ${Object.keys(cipherNames).join(', ')}.`,
      })
    }
  }
  return found.length === 0 ? undefined : found.join(':')
}

/** Versions from the lowest to the highest; 1.0 counts as 1.1, below which nothing is spoken. */
export function protocolsOf(
  { minversion = '1.2', maxversion = '1.3' }: Pick<TlsConfig, 'minversion' | 'maxversion'>,
  place: Place,
  report: Report,
): TlsProtocol[] {
  const known: readonly TlsProtocol[] = ['TLSv1.1', 'TLSv1.2', 'TLSv1.3']
  const found = known.filter((one) => {
    const version = one.slice('TLSv'.length)
    return version >= minversion && version <= maxversion
  })
  if (minversion === '1.0') {
    report.add(below(place, 'minversion'), {
      code: 'unsupported-value',
      severity: 'warning',
      message: 'TLS 1.0 is not spoken here: 1.1 is the lowest',
    })
  }
  if (found.length > 0) return found
  report.add(below(place, minversion > maxversion ? 'minversion' : 'maxversion'), {
    code: minversion > maxversion ? 'conflicting-fields' : 'unsupported-value',
    message: 'no version of TLS that is spoken here is left',
  })
  return ['TLSv1.3']
}

/** Fields of an upstream. Authorities become a resource of their own. */
export function upstreamTls(
  id: string,
  config: TlsOutboundConfig,
  place: Place,
  translation: Translation,
  report: Report,
): object {
  const { skipValidation, trustedCA, certificate, alpn, minversion, maxversion, ciphers } = config
  const idle = Object.entries({ minversion, maxversion, ciphers, alpn })
  for (const [field] of idle.filter(([, value]) => value !== undefined)) {
    report.add(below(place, field), {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message:
        'has no equal: TLS 1.2 and 1.3 are spoken with services, with ciphers and protocols as they agree on',
    })
  }
  if (certificate?.keyPassphrase !== undefined) refusePassphrase(below(place, 'certificate'), report)
  const authority = `${id}-authority`
  if (trustedCA !== undefined) {
    translation.add('ca_certificates', { id: authority, cert: trustedCA }, below(place, 'trustedCA'))
  }
  return {
    ...(skipValidation ? { tls_verify: false } : trustedCA !== undefined && { tls_verify: true }),
    ...(trustedCA !== undefined && { ca_certificates: [authority] }),
    ...(certificate !== undefined && { tls: { client_cert: certificate.crt, client_key: certificate.key } }),
  }
}

function refusePassphrase(place: Place, report: Report): void {
  report.add(below(place, 'keyPassphrase'), {
    code: 'unsupported-field',
    at: 'key',
    message: 'keys with a passphrase are not read',
    hint: 'Write the key without: openssl pkey -in key.pem -out plain.pem.',
  })
}
