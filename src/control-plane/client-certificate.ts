/** Whose certificate a connection showed. Decided for each request anew, because certificates expire and are revoked. */
import type { TLSSocket } from 'node:tls'
import type { Registration, Registrations, ShownCertificate } from './registrations.ts'

/** Taken apart once for each connection. */
const shown = new WeakMap<TLSSocket, ShownCertificate>()

/** Undefined: none that counts. */
export function holderOn(socket: TLSSocket, registrations: Registrations): Registration | undefined {
  if (!socket.authorized) return undefined
  let certificate = shown.get(socket)
  if (certificate === undefined) {
    const found = socket.getPeerX509Certificate()
    if (found === undefined) return undefined
    certificate = { serial: found.serialNumber.toLowerCase(), fingerprint: found.fingerprint256 }
    shown.set(socket, certificate)
  }
  return registrations.holderOf(certificate)
}
