/** Certificates as API7 has them, in real handshakes: names, the certificates that they show, and authorities of clients. */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { Authority } from '../harness/certificates.ts'
import { freePort, startGateway } from '../harness/gateway.ts'
import { adminKey } from './gateway.ts'

const authority = new Authority()
const first = authority.issue({ names: ['one.test'] })
const second = authority.issue({ names: ['one.test'] })
const rsa = authority.issue({ names: ['one.test'], kind: 'rsa' })
const jack = authority.issue({ subject: '/CN=jack' })
const pair = ({ cert, key }: { cert: string; key: string }) => ({ cert, key })
test.after(() => authority.remove())

async function started(t: TestContext, more = '') {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-snis-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [secure, port] = [await freePort(), await freePort()]
  const start = () =>
    startGateway(
      (plain) => `gateway:
  listeners:
    - { host: 127.0.0.1, port: ${plain} }
    - { host: 127.0.0.1, port: ${secure}, protocol: https }
  workers: 1
  control: { enabled: false }
  metrics: { enabled: false }
  data_dir: ${folder}
  admin: { port: ${port}, keys: [{ name: tests, key: ${adminKey} }] }
${more}`,
    )
  let gateway = await start()
  t.after(() => gateway.stop())
  const admin = async (method: string, path: string, body?: object) => {
    const response = await fetch(`http://127.0.0.1:${port}/apisix/admin${path}`, {
      method,
      headers: { 'x-api-key': adminKey, 'x-digest': String(Math.random()) },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
  const adminIsUp = async () => {
    while ((await admin('GET', '/snis').catch(() => undefined)) === undefined);
  }
  await adminIsUp()
  return {
    admin,
    traffic: () => `http://127.0.0.1:${gateway.port}`,
    /** The fingerprint of the certificate that is shown, or why there is none. */
    async shown(options: tls.ConnectionOptions = {}): Promise<string> {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: secure,
        servername: 'one.test',
        ca: authority.cert,
        maxVersion: 'TLSv1.2',
        ...options,
      })
      try {
        await once(socket, 'secureConnect')
        return socket.getPeerX509Certificate()!.fingerprint256
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? String(error)
      } finally {
        socket.destroy()
      }
    },
    async restart() {
      await gateway.stop()
      gateway = await start()
      await adminIsUp()
    },
  }
}

const fingerprint = ({ cert }: { cert: string }) => new X509Certificate(cert).fingerprint256

test('a name shows its certificates, also after these change and after a restart', async (t) => {
  const { admin, shown, restart } = await started(t)
  const none = await shown()
  t.assert.match(none, /UNRECOGNIZED_NAME/)
  const unknown = await admin('PUT', '/snis/n', { name: 'n', domain: 'one.test', certificates: ['c'] })
  t.assert.deepEqual(
    [unknown.status, unknown.body.error_msg],
    [400, 'failed to fetch certificate info by certificate id [c], response code: 404'],
  )
  const made = await admin('PUT', '/certificates/c', { name: 'c', ...pair(first) })
  t.assert.deepEqual([made.status, made.body.value.key], [201, '******'])
  t.assert.equal((await admin('GET', '/certificates/c')).body.value.key, undefined)
  const sni = await admin('PUT', '/snis/n', { name: 'n', domain: 'one.test', certificates: ['c'] })
  t.assert.equal(sni.status, 201)
  t.assert.equal(await shown(), fingerprint(first))
  t.assert.equal((await admin('GET', '/ssls')).body.total, 0)

  t.assert.equal((await admin('PUT', '/certificates/c', { name: 'c', ...pair(second) })).status, 200)
  t.assert.equal(await shown(), fingerprint(second))
  await restart()
  t.assert.equal(await shown(), fingerprint(second))

  const used = await admin('DELETE', '/certificates/c')
  t.assert.deepEqual(
    [used.status, used.body.error_msg],
    [400, 'can not delete this certificate, sni [n] is still using it now'],
  )
  t.assert.equal((await admin('DELETE', '/snis/n')).status, 200)
  t.assert.equal(await shown(), none)
  t.assert.equal((await admin('DELETE', '/certificates/c')).status, 200)
})

test('a name can hold certificates itself, and ask clients for theirs', async (t) => {
  const { admin, shown } = await started(t)
  const sni = { name: 'n', domain: 'one.test', certificates: [pair(first)] }
  const made = await admin('POST', '/snis', sni)
  t.assert.equal(made.body.value.certificates[0].key, '******')
  const { id } = made.body.value
  t.assert.equal(await shown(), fingerprint(first))

  await admin('PUT', '/ca_certificates/a', { name: 'a', cert: authority.cert })
  const mtls = await admin('PATCH', `/snis/${id}`, { mtls: { enabled: true, ca_certificates: ['a'] } })
  t.assert.equal(mtls.status, 200)
  t.assert.notEqual(await shown(), fingerprint(first))
  t.assert.equal(await shown(pair(jack)), fingerprint(first))
  t.assert.match(
    (await admin('DELETE', '/ca_certificates/a')).body.error_msg,
    /^can not delete this ca certificate, sni \[/,
  )
})

test('what cannot be shown is refused', async (t) => {
  const { admin } = await started(t)
  const error = async (path: string, body: object) => {
    const { status, body: answer } = await admin('PUT', path, body)
    return `${status} ${answer.error_msg}`
  }
  const broken = '-----BEGIN CERTIFICATE-----\n'.padEnd(200, 'A')
  t.assert.match(
    await error('/certificates/c', { ...pair(first), cert: broken }),
    /^400 failed to parse cert/,
  )
  t.assert.match(await error('/certificates/c', { cert: first.cert }), /^400 .*"key" is required/)
  t.assert.match(await error('/ca_certificates/c', { cert: broken }), /^400 cert is no certificate in PEM/)
  const sni = { domain: 'one.test', certificates: [pair(first)] }
  t.assert.match(await error('/snis/s', { ...sni, domain: 'a b' }), /^400 .*"domain"/)
  t.assert.match(await error('/snis/s', { ...sni, certificates: [] }), /^400 .*"certificates"/)
  t.assert.match(
    await error('/snis/s', { ...sni, mtls: { enabled: true } }),
    /^400 mtls needs ca_certificates/,
  )
  t.assert.equal((await admin('PUT', '/ssls/sni.s', { sni: 'one.test', ...pair(first) })).status, 201)
  t.assert.match(await error('/snis/s', sni), /^409 there is another ssl \[sni\.s\] already/)
})

test('a document holds them too', async (t) => {
  const { admin, shown } = await started(t)
  const document = {
    certificates: [{ id: 'c', ...pair(first) }],
    snis: [{ id: 'n', domain: 'one.test', certificates: ['c', pair(rsa)] }],
  }
  t.assert.equal((await admin('PUT', '/configs', document)).status, 202)
  t.assert.match(await shown(), new RegExp(`${fingerprint(first)}|${fingerprint(rsa)}`))
  const { body } = await admin('GET', '/configs')
  t.assert.deepEqual([body.certificates, body.snis], [document.certificates, document.snis])
  t.assert.equal((await admin('PUT', '/configs', {})).status, 202)
  t.assert.match(await shown(), /UNRECOGNIZED_NAME/)
})

test('upstreams are shown certificates, and judged by authorities, that change under them', async (t) => {
  const server = https.createServer(
    { ...pair(authority.issue({ names: ['one.test'] })), requestCert: true, rejectUnauthorized: false },
    ({ socket }, response) => {
      const subject = (socket as tls.TLSSocket).getPeerX509Certificate()?.subject
      response.setHeader('Connection', 'close').end(subject ?? 'nobody')
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { admin, traffic, restart } = await started(t)
  const ask = async () => {
    const answer = await fetch(traffic())
    return answer.status === 200 ? answer.text() : answer.status
  }
  const upstream = {
    scheme: 'https',
    pass_host: 'rewrite',
    upstream_host: 'one.test',
    nodes: { [`127.0.0.1:${(server.address() as AddressInfo).port}`]: 1 },
    client_certificate: 'c',
    ca_certificates: ['a'],
  }
  const refused = await admin('PUT', '/upstreams/u', upstream)
  t.assert.equal(
    refused.body.error_msg,
    'failed to fetch certificate info by certificate id [c], response code: 404',
  )
  await admin('PUT', '/certificates/c', pair(jack))
  await admin('PUT', '/ca_certificates/a', { cert: authority.cert })
  const made = await admin('PUT', '/upstreams/u', upstream)
  t.assert.equal(made.status, 201)
  t.assert.deepEqual(made.body.value.ca_certificates, ['a'])
  await admin('PUT', '/routes/r', { uri: '/*', upstream_id: 'u' })
  t.assert.equal(await ask(), 'CN=jack')
  t.assert.match(
    (await admin('DELETE', '/certificates/c')).body.error_msg,
    /upstream \[u\] is still using it/,
  )
  await admin('PUT', '/certificates/c', pair(authority.issue({ subject: '/CN=jill' })))
  t.assert.equal(await ask(), 'CN=jill')
  await admin('PUT', '/ca_certificates/a', { cert: first.cert })
  t.assert.equal(await ask(), 502)
  await restart()
  t.assert.equal(await ask(), 502)
  await admin('PUT', '/ca_certificates/a', { cert: authority.cert })
  t.assert.equal(await ask(), 'CN=jill')
})

test('names, certificates and authorities of files are served, shown, and only changed there', async (t) => {
  const indented = (pem: string) => pem.trim().replaceAll('\n', '\n      ')
  const { admin, shown, restart } = await started(
    t,
    `snis: [{ id: n, name: n, domain: one.test, certificates: [c] }]
certificates:
  - id: c
    name: c
    cert: |
      ${indented(first.cert)}
    key: |
      ${indented(first.key)}
`,
  )
  t.assert.equal(await shown(), fingerprint(first))
  const one = (await admin('GET', '/certificates/c')).body.value
  t.assert.deepEqual([one.id, one.key], ['c', undefined])
  t.assert.equal((await admin('GET', '/snis')).body.total, 1)
  t.assert.equal((await admin('GET', '/ssls')).body.total, 0)
  t.assert.equal((await admin('PUT', '/certificates/c', pair(jack))).status, 409)
  t.assert.equal((await admin('DELETE', '/snis/n')).status, 409)
  const other = { domain: 'two.test', certificates: ['c'] }
  t.assert.equal((await admin('PUT', '/snis/other', other)).status, 201)
  const second = { servername: 'two.test', checkServerIdentity: () => undefined }
  t.assert.equal(await shown(second), fingerprint(first))
  await restart()
  t.assert.equal(await shown(second), fingerprint(first))
  t.assert.equal((await admin('GET', '/snis')).body.total, 2)
})
