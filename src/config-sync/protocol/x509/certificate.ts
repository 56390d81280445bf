/** Certificates (RFC 5280), issued with ECDSA P-256. `node:crypto` reads them. */
import { createPublicKey, hash, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { ecdsaWithSha256 } from './certificate-request.ts'
import {
  bitString,
  explicit,
  implicit,
  integer,
  objectId,
  octetString,
  readValues,
  sequence,
  time,
  yes,
} from './der.ts'
import { toPem } from './pem.ts'
import { type Subject, writeSubject } from './subject.ts'

/** What a certificate says. */
export interface CertificateContents {
  subject: Subject
  publicKey: KeyObject
  notBefore: Date
  notAfter: Date
  /** An authority issues others; a server and a client prove who they are. */
  use: 'authority' | 'server' | 'client'
  /** Host names, addresses and URIs that it is for. */
  names?: readonly string[]
  /** 16 random bytes where none are given. */
  serial?: Buffer
}

export interface Authority {
  /** In PEM. */
  certificate: string
  /** Private, P-256. */
  key: KeyObject
}

/** In PEM. Without an authority it is signed by itself: then `key` is that of the certificate. */
export function issueCertificate(
  contents: CertificateContents,
  authority: Authority | { key: KeyObject },
): string {
  const subject = writeSubject(contents.subject)
  const issuer = 'certificate' in authority ? subjectOf(authority.certificate) : subject
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(contents.serial ?? randomSerial()),
    ecdsaWithSha256,
    issuer,
    sequence(time(contents.notBefore), time(contents.notAfter)),
    subject,
    contents.publicKey.export({ format: 'der', type: 'spki' }),
    explicit(3, sequence(...extensions(contents, createPublicKey(authority.key)))),
  )
  return toPem('CERTIFICATE', sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, authority.key))))
}

/** Positive, and of one length. */
export function randomSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x3f) | 0x40
  return serial
}

const purposes = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const

function extensions({ use, names, publicKey }: CertificateContents, issuerKey: KeyObject): Buffer[] {
  const isAuthority = use === 'authority'
  return [
    critical('2.5.29.19', sequence(...(isAuthority ? [yes] : []))),
    // An authority: keyCertSign and cRLSign. Others: digitalSignature.
    critical(
      '2.5.29.15',
      isAuthority ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0x80]), 7),
    ),
    ...(isAuthority ? [] : [extension('2.5.29.37', sequence(objectId(purposes[use])))]),
    ...(names === undefined ? [] : [extension('2.5.29.17', sequence(...names.map(alternativeName)))]),
    extension('2.5.29.14', octetString(keyIdentifier(publicKey))),
    extension('2.5.29.35', sequence(implicit(0, keyIdentifier(issuerKey)))),
  ]
}

function extension(type: string, value: Buffer): Buffer {
  return sequence(objectId(type), octetString(value))
}

function critical(type: string, value: Buffer): Buffer {
  return sequence(objectId(type), yes, octetString(value))
}

/** RFC 5280, section 4.2.1.6: `[2]` host name, `[6]` URI, `[7]` address. */
function alternativeName(name: string): Buffer {
  if (isIP(name) !== 0) return implicit(7, addressBytes(name))
  return implicit(/^[a-z][a-z0-9+.-]*:/i.test(name) ? 6 : 2, Buffer.from(name))
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const { hostname } = new URL(`http://[${address}]`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const first = groups(head)
  const last = groups(tail ?? '')
  const all =
    tail === undefined ? first : [...first, ...Array(8 - first.length - last.length).fill(0), ...last]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

/** RFC 7093, section 2, method 1: the first 160 bits of the SHA-256 of the key. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const info = publicKey.export({ format: 'der', type: 'spki' })
  const [, bits] = readValues(readValues(info)[0]!.content)
  return hash('sha256', bits!.content.subarray(1), 'buffer').subarray(0, 20)
}

/** The issuer of what it issues is spelled exactly as it spells itself. */
function subjectOf(certificate: string): Buffer {
  const [whole] = readValues(new X509Certificate(certificate).raw)
  const [body] = readValues(whole!.content)
  // Version, serial, algorithm, issuer, validity, subject.
  return readValues(body!.content)[5]!.whole
}
