/** PKCS #10 (RFC 2986): a gateway asks for a certificate with it and proves that it has the key. */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { bitString, DerError, explicit, integer, objectId, readValues, sequence, tag } from './der.ts'
import { fromPem, toPem } from './pem.ts'
import { commonNameIn, writeSubject } from './subject.ts'

const label = 'CERTIFICATE REQUEST'

/** Bytes of a request in PEM that are looked at. */
export const maxCertificateRequestBytes = 4096

export const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'))

export class CertificateRequestError extends Error {
  override readonly name = 'CertificateRequestError'
}

/** In PEM. @param key private, of the curve P-256 */
export function createCertificateRequest(commonName: string, key: KeyObject): string {
  const body = sequence(
    integer(Buffer.from([0])),
    writeSubject({ commonName }),
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    explicit(0),
  )
  return toPem(label, sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, key))))
}

/**
 * Who asks, and the key that was proven. Everything else in a request is left out of account: what a certificate says
 * is decided by whoever issues it.
 * @throws CertificateRequestError
 */
export function readCertificateRequest(pem: string): { commonName: string; publicKey: KeyObject } {
  const bytes = pem.length <= maxCertificateRequestBytes ? fromPem(label, pem) : undefined
  if (bytes === undefined) throw new CertificateRequestError('it is no certificate request in PEM')
  try {
    return read(bytes)
  } catch (error) {
    if (error instanceof CertificateRequestError) throw error
    const reason = error instanceof DerError ? error.message : 'it cannot be read'
    throw new CertificateRequestError(`the certificate request is not well-formed: ${reason}`)
  }
}

function read(bytes: Buffer): { commonName: string; publicKey: KeyObject } {
  const [request, ...rest] = readValues(bytes)
  const [body, algorithm, signature, ...more] = readValues(request!.content)
  if (
    rest.length > 0 ||
    more.length > 0 ||
    request!.tag !== tag.sequence ||
    signature?.tag !== tag.bitString
  ) {
    throw new DerError('it does not have the three parts of a request')
  }
  if (signature.content[0] !== 0) throw new DerError('its signature does not end with a byte')
  const [, subject, keyInfo] = readValues(body!.content)
  const publicKey = createPublicKey({ key: keyInfo!.whole, format: 'der', type: 'spki' })
  if (
    publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1' ||
    !algorithm!.whole.equals(ecdsaWithSha256)
  ) {
    throw new CertificateRequestError('its key is not ECDSA of the curve P-256, signed with SHA-256')
  }
  if (!verify('sha256', body!.whole, publicKey, signature.content.subarray(1))) {
    throw new CertificateRequestError('it is not signed with the key that it is for')
  }
  const commonName = commonNameIn(subject!.content)
  if (commonName === undefined) throw new CertificateRequestError('it names nobody')
  return { commonName, publicKey }
}
