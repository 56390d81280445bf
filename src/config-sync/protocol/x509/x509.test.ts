/** Our certificates and requests, held against OpenSSL. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { issueCertificate } from './certificate.ts'
import {
  CertificateRequestError,
  createCertificateRequest,
  readCertificateRequest,
} from './certificate-request.ts'
import { fromPem, toPem } from './pem.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-x509-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const day = 24 * 3600 * 1000
const notBefore = new Date('2026-11-22T10:00:00Z')
const notAfter = new Date(notBefore.getTime() + 365 * day)
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

suite('a certificate request', () => {
  test('is one for OpenSSL', () => {
    const path = file('ours.csr', createCertificateRequest('gateway-1', p256()))
    assert.match(openssl('req', '-in', path, '-verify', '-noout', '-text'), /Subject: CN = gateway-1/)
  })

  test('of OpenSSL is read: who asks, with which key', () => {
    const key = p256()
    const keyFile = file('key.pem', key.export({ format: 'pem', type: 'pkcs8' }) as string)
    const pem = openssl('req', '-new', '-sha256', '-key', keyFile, '-subj', '/O=Shop/CN=gateway-2')
    const { commonName, publicKey } = readCertificateRequest(pem)
    assert.equal(commonName, 'gateway-2')
    assert.ok(publicKey.equals(createPublicKey(key)))
  })

  test('with any byte changed is refused', () => {
    const pem = createCertificateRequest('gateway-3', p256())
    const bytes = fromPem('CERTIFICATE REQUEST', pem)!
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = changed[at]! ^ 0x01
      assert.throws(
        () => readCertificateRequest(toPem('CERTIFICATE REQUEST', changed)),
        CertificateRequestError,
        `byte ${at}`,
      )
    }
  })

  test('cut off anywhere is refused', () => {
    const bytes = fromPem('CERTIFICATE REQUEST', createCertificateRequest('gateway-4', p256()))!
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(
        () => readCertificateRequest(toPem('CERTIFICATE REQUEST', bytes.subarray(0, end))),
        CertificateRequestError,
      )
    }
  })

  for (const [what, pem] of [
    ['nothing', ''],
    ['too much', `-----BEGIN CERTIFICATE REQUEST-----\n${'A'.repeat(5000)}`],
    ['an RSA key', rsaRequest()],
  ]) {
    test(`with ${what} is refused`, () => {
      assert.throws(() => readCertificateRequest(pem!), CertificateRequestError)
    })
  }
})

suite('a certificate', () => {
  const authorityKey = p256()
  const authority = {
    key: authorityKey,
    certificate: issueCertificate(
      {
        subject: { commonName: 'Sluice control plane', organization: 'Shop' },
        publicKey: createPublicKey(authorityKey),
        notBefore,
        notAfter,
        use: 'authority',
      },
      { key: authorityKey },
    ),
  }
  const authorityFile = file('ca.pem', authority.certificate)
  const verify = (path: string, purpose: string) =>
    openssl(
      'verify',
      '-x509_strict',
      '-attime',
      String(notBefore.getTime() / 1000 + 60),
      '-purpose',
      purpose,
      '-CAfile',
      authorityFile,
      path,
    )

  for (const use of ['server', 'client'] as const) {
    test(`of a ${use} is good for that alone, in OpenSSL's strict reading`, () => {
      const key = p256()
      const pem = issueCertificate(
        {
          subject: { commonName: 'x', unit: 'group' },
          publicKey: createPublicKey(key),
          notBefore,
          notAfter,
          use,
          names: ['localhost'],
        },
        authority,
      )
      const path = file(`${use}.pem`, pem)
      assert.match(verify(path, `ssl${use}`), /OK/)
      assert.throws(() => verify(path, use === 'server' ? 'sslclient' : 'sslserver'))
    })
  }

  test('says what it was told to', () => {
    const pem = issueCertificate(
      {
        subject: { commonName: 'gateway é', organization: 'Shop', unit: 'edge' },
        publicKey: createPublicKey(p256()),
        notBefore,
        notAfter: new Date('2051-01-02T03:04:05Z'),
        use: 'client',
        names: ['control.example', '10.0.0.1', '2001:db8::1:2', '::1', 'urn:sluice:registration:7'],
        serial: Buffer.from('8001', 'hex'),
      },
      authority,
    )
    const certificate = new X509Certificate(pem)
    assert.equal(certificate.serialNumber, '8001')
    assert.equal(certificate.subject, 'O=Shop\nOU=edge\nCN=gateway é')
    assert.equal(certificate.issuer, 'O=Shop\nCN=Sluice control plane')
    assert.equal(
      certificate.subjectAltName,
      'DNS:control.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:1:2, IP Address:0:0:0:0:0:0:0:1, URI:urn:sluice:registration:7',
    )
    assert.equal(certificate.validToDate.toISOString(), '2051-01-02T03:04:05.000Z')
    assert.equal(certificate.validFromDate.toISOString(), notBefore.toISOString())
    assert.ok(certificate.verify(createPublicKey(authorityKey)))
    assert.equal(certificate.ca, false)
    assert.equal(new X509Certificate(authority.certificate).ca, true)
  })
})

function rsaRequest(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keyFile = file('rsa.pem', privateKey.export({ format: 'pem', type: 'pkcs8' }) as string)
  return openssl('req', '-new', '-key', keyFile, '-subj', '/CN=rsa')
}
