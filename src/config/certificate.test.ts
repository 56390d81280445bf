import { after, suite, test } from 'node:test'
import { Authority } from '../../test/harness/certificates.ts'
import { certificateError, checkCertificate } from './certificate.ts'
import type { Place } from './report.ts'
import { Report } from './report.ts'

const authority = new Authority()
const one = authority.issue({ names: ['one.test'] })
const other = authority.issue({ names: ['other.test'], kind: 'rsa' })
const old = authority.issue({ names: ['old.test'], days: -1 })
after(() => authority.remove())

const place: Place = {
  document: { file: 'f', value: {}, locate: (wanted) => wanted.map(() => undefined) },
  path: ['ssls', 0],
}

function findings(input: Parameters<typeof checkCertificate>[0], now = Date.now()) {
  const report = new Report([])
  checkCertificate(input, place, now, report)
  return report.finish().map(({ code, severity, path }) => [severity, code, path])
}

const reference = '$secret://vault/1/certificate'
const garbage = `---${'x'.repeat(200)}`

suite('a certificate', () => {
  test('that fits its key and its time has no finding', (t) => {
    const { cert, key } = one
    t.assert.deepEqual(findings({ cert, key, certs: [other.cert], keys: [other.key], snis: ['a.test'] }), [])
  })

  test('has to belong to its key', (t) => {
    t.assert.deepEqual(findings({ cert: one.cert, key: other.key }), [
      ['error', 'mismatched-certificate', 'ssls[0].key'],
    ])
    const further = { certs: [one.cert], keys: [other.key] }
    t.assert.deepEqual(findings({ ...further, cert: other.cert, key: other.key }), [
      ['error', 'mismatched-certificate', 'ssls[0].keys[0]'],
    ])
  })

  test('is told to be hidden by a later one with the same kind of key', (t) => {
    const { cert, key } = one
    const several = { cert, key, certs: [other.cert, cert], keys: [other.key, key] }
    t.assert.deepEqual(findings(several), [['warning', 'duplicate-sni', 'ssls[0].cert']])
    const further = { cert: other.cert, key: other.key, certs: [cert, cert], keys: [key, key] }
    t.assert.deepEqual(findings(further), [['warning', 'duplicate-sni', 'ssls[0].certs[0]']])
  })

  test('is told to have expired, or to be too early', (t) => {
    t.assert.deepEqual(findings({ cert: old.cert, key: old.key }), [
      ['warning', 'certificate-not-valid', 'ssls[0].cert'],
    ])
    t.assert.deepEqual(findings({ cert: one.cert, key: one.key }, Date.parse('2001-01-01')), [
      ['warning', 'certificate-not-valid', 'ssls[0].cert'],
    ])
  })

  test('that is kept elsewhere is not looked at', (t) => {
    t.assert.deepEqual(findings({ cert: reference, key: reference }), [])
    t.assert.equal(certificateError({ cert: reference, key: garbage }), undefined)
  })

  test('is refused in the words of APISIX', (t) => {
    t.assert.equal(
      certificateError({ cert: garbage, key: one.key }),
      'failed to parse cert: PEM_read_bio_X509_AUX() failed',
    )
    t.assert.equal(
      certificateError({ cert: one.cert, key: garbage }),
      'failed to parse key: PEM_read_bio_PrivateKey() failed',
    )
    t.assert.equal(
      certificateError({ cert: one.cert, key: one.key, certs: [one.cert] }),
      'mismatched number of certs and keys',
    )
    t.assert.equal(
      certificateError({ cert: one.cert, key: one.key, certs: [one.cert], keys: [garbage] }),
      'failed to handle cert-key pair[1]: failed to parse key: PEM_read_bio_PrivateKey() failed',
    )
    t.assert.equal(
      certificateError({ cert: one.cert, key: one.key, client: { ca: garbage } }),
      'failed to validate client_cert: failed to parse cert: PEM_read_bio_X509_AUX() failed',
    )
  })
})
