/** The variables of nginx that speak of TLS with the client. */
import type { X509Certificate } from 'node:crypto'
import type { Exchange, TlsInfo } from '../exchange.ts'

type Get<T> = (subject: T) => string | undefined

const ofConnection =
  (get: Get<TlsInfo>) =>
  ({ client: { tls } }: Exchange): string | undefined =>
    tls === null ? undefined : get(tls) || undefined

const ofCertificate = (get: Get<X509Certificate>) =>
  ofConnection(({ clientCertificate }) => clientCertificate && get(clientCertificate))

export const tlsVariables = {
  ssl_protocol: ofConnection((tls) => tls.protocol),
  ssl_cipher: ofConnection((tls) => tls.cipher),
  ssl_server_name: ofConnection((tls) => tls.serverName),
  ssl_alpn_protocol: ofConnection((tls) => tls.alpn),
  ssl_session_reused: ofConnection((tls) => (tls.isResumed ? 'r' : '.')),
  ssl_client_verify: ofConnection((tls) => tls.verify),
  ssl_client_s_dn: ofCertificate(({ subject }) => distinguishedName(subject)),
  ssl_client_i_dn: ofCertificate(({ issuer }) => distinguishedName(issuer)),
  ssl_client_serial: ofCertificate(({ serialNumber }) => serialNumber),
  ssl_client_fingerprint: ofCertificate(({ fingerprint }) => fingerprint.replaceAll(':', '').toLowerCase()),
  ssl_client_v_start: ofCertificate(({ validFrom }) => validFrom),
  ssl_client_v_end: ofCertificate(({ validTo }) => validTo),
  ssl_client_v_remain: ofCertificate(({ validToDate }) => remainingDays(validToDate)),
  ssl_client_raw_cert: ofCertificate(String),
  // Lines after the first begin with a tab, so that it can stand in a field.
  ssl_client_cert: ofCertificate((certificate) => String(certificate).trimEnd().replaceAll('\n', '\n\t')),
  ssl_client_escaped_cert: ofCertificate((certificate) => encodeURIComponent(String(certificate))),
}

/** RFC 2253: the most special part first. */
function distinguishedName(lines: string): string {
  return lines.split('\n').reverse().join(',')
}

function remainingDays(end: Date): string {
  return String(Math.max(0, Math.floor((end.getTime() - Date.now()) / 86_400_000)))
}
