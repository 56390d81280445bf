/** Certificates and their private keys, as far as they can be told without using them. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isEncrypted } from './plan.ts'
import type { Place, Report } from './report.ts'
import { below } from './report.ts'
import type { SslInput, UpstreamInput } from './resources.ts'
import { isSecretReference } from './secret-reference.ts'

/** What is wrong with a certificate that fits its schema, in the words of APISIX. */
export function certificateError(resource: SslInput): string | undefined {
  const { type = 'server', cert, key, certs = [], keys = [], client } = resource
  const fault = pairError(cert, key)
  if (fault !== undefined || type !== 'server') return fault
  if (certs.length !== keys.length) return 'mismatched number of certs and keys'
  for (const [index, further] of certs.entries()) {
    const furtherFault = pairError(further, keys[index])
    if (furtherFault !== undefined) return `failed to handle cert-key pair[${index + 1}]: ${furtherFault}`
  }
  const caFault = client && pairError(client.ca, undefined)
  return caFault && `failed to validate client_cert: ${caFault}`
}

/** What is kept elsewhere cannot be looked at. */
export function pairError(cert: string | undefined, key: string | undefined): string | undefined {
  if (cert === undefined || isSecretReference(cert) || (key !== undefined && isSecretReference(key)))
    return undefined
  if (certificateOf(cert) === undefined) return 'failed to parse cert: PEM_read_bio_X509_AUX() failed'
  if (key === undefined || keyOf(key) !== undefined) return undefined
  // APISIX takes what does not look like PEM for something that it encrypted.
  if (!key.startsWith('---')) return 'failed to decrypt previous encrypted key'
  return 'failed to parse key: PEM_read_bio_PrivateKey() failed'
}

/** The first certificate of a text in PEM; undefined: there is none. */
export function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function keyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

/** Everything about a certificate that an operator should know before a client finds it out. */
export function checkCertificate(input: SslInput, place: Place, now: number, report: Report): void {
  const { type, cert, key, certs = [], keys = [], client } = input
  checkPair(cert, key, below(place, 'cert'), below(place, 'key'), now, report)
  if (certs.length !== keys.length) {
    report.add(below(place, 'keys'), {
      code: 'invalid-certificate',
      message: 'there must be as many keys as certs',
    })
  }
  for (const [index, further] of certs.entries()) {
    const at = (field: string) => below(place, field, index)
    checkPair(further, keys[index], at('certs'), at('keys'), now, report)
  }
  checkKinds(input, place, report)
  if (client !== undefined) {
    checkPair(client.ca, undefined, below(place, 'client', 'ca'), place, now, report)
  }
  if (type !== 'client' && type !== 'authority') return
  for (const field of ['sni', 'snis', 'certs', 'client', 'ssl_protocols'] as const) {
    if (input[field] === undefined) continue
    report.add(below(place, field), {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message: `${field} has no effect with type: ${type}`,
    })
  }
}

/** Of several certificates with the same kind of key, the last one is shown. */
function checkKinds({ cert, certs = [] }: SslInput, place: Place, report: Report): void {
  if (certs.length === 0) return
  const shown = new Set<string>()
  for (const [index, text] of [...[cert, ...certs].entries()].reverse()) {
    const kind = text === undefined ? undefined : certificateOf(text)?.publicKey.asymmetricKeyType
    if (kind === undefined) continue
    if (shown.has(kind)) {
      report.add(index === 0 ? below(place, 'cert') : below(place, 'certs', index - 1), {
        code: 'duplicate-sni',
        severity: 'warning',
        message: `a later certificate of the same entry has a key of the same kind (${kind}), and is shown instead of this one`,
        hint: 'One entry holds one certificate for each kind of key.',
      })
    }
    shown.add(kind)
  }
}

/** The certificate that an upstream is shown, where it stands in the upstream. */
export function checkClientCertificate(
  input: UpstreamInput,
  place: Place,
  now: number,
  report: Report,
): void {
  const { tls } = input
  if (!isEncrypted(input.scheme ?? 'http')) {
    for (const field of ['tls', 'client_certificate', 'ca_certificates', 'tls_verify'] as const) {
      if (input[field] === undefined) continue
      report.add(below(place, field), {
        code: 'ignored-field',
        severity: 'warning',
        at: 'key',
        message: `${field} has no effect without TLS, which is a matter of the scheme`,
      })
    }
  }
  if (tls === undefined) return
  const { client_cert: cert, client_key: key } = tls
  const at = (field: string) => below(place, 'tls', field)
  for (const [field, text] of [['client_cert', cert] as const, ['client_key', key] as const]) {
    if (text === undefined || !isSecretReference(text)) continue
    report.add(at(field), {
      code: 'invalid-value',
      message: 'a reference to a secret is not followed here',
      hint: 'Put the certificate under ssls, with type: client, and name it in client_cert_id.',
    })
    return
  }
  checkPair(cert, key, at('client_cert'), at('client_key'), now, report)
}

function checkPair(
  cert: string | undefined,
  key: string | undefined,
  certPlace: Place,
  keyPlace: Place,
  now: number,
  report: Report,
): void {
  const certificate = cert === undefined || isSecretReference(cert) ? undefined : certificateOf(cert)
  const privateKey = key === undefined || isSecretReference(key) ? undefined : keyOf(key)
  if (certificate === undefined && cert !== undefined && !isSecretReference(cert)) {
    report.add(certPlace, { code: 'invalid-certificate', message: 'is no certificate in PEM' })
  }
  if (privateKey === undefined && key !== undefined && !isSecretReference(key)) {
    report.add(keyPlace, { code: 'invalid-certificate', message: 'is no private key in PEM' })
  }
  if (certificate === undefined) return
  if (privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    report.add(keyPlace, {
      code: 'mismatched-certificate',
      message: 'is not the private key of the certificate: no handshake can succeed',
    })
  }
  checkTime(certificate, certPlace, now, report)
}

function checkTime(certificate: X509Certificate, place: Place, now: number, report: Report): void {
  const { validFromDate: from, validToDate: to } = certificate
  if (now >= from.getTime() && now <= to.getTime()) return
  const message =
    now > to.getTime()
      ? `the certificate expired at ${to.toISOString()}`
      : `the certificate is valid only from ${from.toISOString()} on`
  report.add(place, { code: 'certificate-not-valid', severity: 'warning', message })
}
