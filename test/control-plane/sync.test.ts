/** Registration and configuration over real TLS, held against the protocol (docs/reference/sync-protocol.md). */
import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createCertificateRequest, paths, readToken } from '../../src/config-sync/protocol/index.ts'
import {
  askHttps,
  startTestControlPlane,
  TestAgent,
  type TestControlPlane,
} from '../harness/embedded-control-plane.ts'

const upstream = { type: 'roundrobin', nodes: { '127.0.0.1:1': 1 } }
const route = (uri: string) => ({ uri, upstream })

suite('a gateway', () => {
  let plane: TestControlPlane
  let agent: TestAgent
  before(async () => {
    plane = await startTestControlPlane()
    agent = await TestAgent.register(plane.platform, plane.token)
  })
  after(() => plane.remove())

  test('gets a certificate for its key that says who it is, and keeps its key', () => {
    const certificate = new X509Certificate(agent.certificate)
    assert.ok(certificate.checkPrivateKey(agent.key))
    assert.ok(certificate.verify(new X509Certificate(agent.registration.ca).publicKey))
    const { id, organization } = agent.registration
    assert.equal(certificate.subject, `O=${organization}\nOU=default\nCN=${id}`)
  })

  test('uses a token up', async () => {
    const again = TestAgent.register(plane.platform, plane.token, 'other')
    await assert.rejects(again, /401 .*no valid registration token was found/)
  })

  test('has a name that no other has', async () => {
    const again = TestAgent.register(plane.platform, await plane.newToken(), 'edge')
    await assert.rejects(again, /409 .*an active target with the same name already exists/)
  })

  test('gets the first version, then what is changed as a patch', async () => {
    const first = await agent.poll()
    assert.deepEqual(first, { resources: {}, desired_status: 'STARTED' })
    assert.equal(agent.form, 'whole')
    assert.equal(await agent.poll(), undefined)

    const waiting = agent.until(({ resources }) => 'routes' in resources)
    const many = Array.from({ length: 20 }, (_, index) => index)
    for (const index of many) {
      const { status } = await plane.ask('PUT', `/apisix/admin/routes/r${index}`, route(`/r/${index}`))
      assert.equal(status, 201)
    }
    await waiting
    const all = (configuration: { resources: Record<string, unknown> }) =>
      (configuration.resources.routes as unknown[]).length === many.length
    if (!all(JSON.parse(agent.held!.text))) await agent.until(all)
    const { version } = agent.held!

    await plane.ask('PATCH', '/apisix/admin/routes/r3', { uri: '/changed' })
    await agent.until(({ resources }) => JSON.stringify(resources).includes('/changed'))
    assert.equal(agent.form, 'patch')
    assert.ok(agent.received < 4096, String(agent.received))
    assert.ok(agent.held!.version > version)
  })

  test('gets the whole when a patch did not fit', async () => {
    await agent.poll(0, true)
    assert.equal(agent.form, 'whole')
  })

  test('is told that what it has is in force still, after a restart', async () => {
    await plane.restart()
    const again = new TestAgent(
      { ...agent.registration, urls: { sync: [plane.sync], platform: plane.platform } },
      agent.key,
    )
    again.held = { ...agent.held!, issued: 1 }
    await again.poll()
    assert.equal(again.form, 'unchanged')
    assert.equal(again.held.text, agent.held!.text)
    agent = again
  })

  test('gets nothing that does not check, and the operator is told why', async () => {
    const { version } = agent.held!
    const stored = await plane.ask('PUT', '/apisix/admin/upstreams/empty', { type: 'roundrobin', nodes: {} })
    assert.ok(stored.status < 300, stored.text)
    const body = { uri: '/dangling', plugin_config_id: 'c1' }
    await plane.ask('PUT', '/apisix/admin/plugin_configs/c1', { plugins: {} })
    await plane.ask('PUT', '/apisix/admin/routes/dangling', { ...body, upstream })
    await plane.ask('DELETE', '/apisix/admin/plugin_configs/c1?force=true')
    const published = await plane.ask('POST', '/api/gateway_groups/default/publish')
    assert.equal(published.status, 422, published.text)
    assert.ok(published.json.findings.some(({ code }: { code: string }) => code === 'dangling-reference'))
    const { json } = await plane.ask('GET', '/api/gateway_groups/default/publications')
    assert.ok(json.refused.length > 0)
    assert.ok(json.list[0].version >= version)
    await plane.ask('DELETE', '/apisix/admin/routes/dangling')
    assert.equal((await plane.ask('POST', '/api/gateway_groups/default/publish')).status, 200)
  })

  test('renews its certificate with it, with a new key', async () => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const { id } = agent.registration
    const answer = await agent.ask(paths.renewal(id), 'POST', { csr: createCertificateRequest(id, key) })
    assert.equal(answer.status, 200, answer.text)
    assert.ok(new X509Certificate(answer.json.certificate).checkPrivateKey(key))
    const renewed = new TestAgent({ ...agent.registration, certificate: answer.json.certificate }, key)
    assert.equal((await renewed.ask(paths.configuration)).status, 200)
    assert.equal((await agent.ask(paths.configuration)).status, 200, 'the one before stays good')
  })

  test('cannot renew the certificate of another', async () => {
    const other = await TestAgent.register(plane.platform, await plane.newToken(), 'other')
    const csr = createCertificateRequest(agent.registration.id, other.key)
    const answer = await other.ask(paths.renewal(agent.registration.id), 'POST', { csr })
    assert.equal(answer.status, 403)
  })

  test('whose certificate is revoked gets nothing', async () => {
    const other = await TestAgent.register(plane.platform, await plane.newToken(), 'revoked')
    assert.equal((await other.ask(paths.configuration)).status, 200)
    const serial = new X509Certificate(other.certificate).serialNumber.toLowerCase()
    const revoked = await plane.ask('POST', `/api/certificates/${serial}/revoke`, { reason: 'lost' })
    assert.equal(revoked.status, 200, revoked.text)
    for (const answer of [await other.ask(paths.configuration), await other.heartbeat()]) {
      assert.equal(answer.status, 403)
    }
  })

  test('whose certificate is revoked while it waits for news gets none', async () => {
    const other = await TestAgent.register(plane.platform, await plane.newToken(), 'revoked-waiting')
    await other.poll()
    const waiting = assert.rejects(other.poll(20), /403 .*no valid certificate/)
    // Gives the poll time to arrive; one that came too late would be refused as well.
    await other.heartbeat()
    const serial = new X509Certificate(other.certificate).serialNumber.toLowerCase()
    await plane.ask('POST', `/api/certificates/${serial}/revoke`, { reason: 'lost' })
    await plane.ask('PUT', '/apisix/admin/routes/after', route('/after'))
    await waiting
  })

  test('without a certificate, or with one of another authority, gets nothing', async () => {
    assert.equal((await askHttps(`${plane.sync}${paths.configuration}`)).status, 403)
    const stranger = await startTestControlPlane()
    try {
      const alien = await TestAgent.register(stranger.platform, stranger.token)
      const answer = await askHttps(`${plane.sync}${paths.configuration}`, {
        client: {
          certificate: alien.certificate,
          key: alien.key.export({ format: 'pem', type: 'pkcs8' }) as string,
        },
      })
      assert.equal(answer.status, 403)
    } finally {
      await stranger.remove()
    }
  })

  test('cannot use the APIs of operators at the port of gateways, nor the other way round', async () => {
    assert.equal((await agent.ask('/api/gateway_groups')).status, 404)
    assert.equal((await agent.ask('/apisix/admin/routes')).status, 404)
    assert.equal((await plane.ask('GET', paths.configuration)).status, 403)
  })

  test('sees nothing of another group', async () => {
    const made = await plane.ask('POST', '/api/gateway_groups', { id: 'second', name: 'second' })
    assert.equal(made.status, 201, made.text)
    const other = await TestAgent.register(plane.platform, await plane.newToken('second'), 'of-second')
    await other.poll()
    await plane.ask('PUT', '/apisix/admin/routes/secret', route('/secret'))
    await agent.until(({ resources }) => JSON.stringify(resources).includes('/secret'))
    assert.equal(await other.poll(), undefined)
    assert.equal(other.registration.group.id, 'second')
  })
})

suite('what a gateway sends', () => {
  let plane: TestControlPlane
  before(async () => {
    plane = await startTestControlPlane()
  })
  after(() => plane.remove())

  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const good = () => ({ name: 'edge', csr: createCertificateRequest('edge', key), connected: true })
  const cases: [string, number, object][] = [
    ['a name with capitals', 400, { name: 'Edge' }],
    ['a name that begins with a digit', 400, { name: '1edge' }],
    ['a request for another name', 400, { name: 'other' }],
    ['no request', 400, { csr: 'none' }],
    ['a member that there is not', 400, { more: 1 }],
    ['another organization', 400, { organization: 'theirs' }],
    ['another group than the token has', 403, { group: 'theirs' }],
  ]
  for (const [what, status, change] of cases) {
    test(`is refused: ${what}`, async () => {
      const { secret } = readToken(plane.token)
      const answer = await askHttps(`${plane.platform}${paths.registrations}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${secret}` },
        body: { ...good(), ...change },
      })
      assert.equal(answer.status, status, answer.text)
      assert.equal(answer.json.status, status)
    })
  }

  test('is refused after many wrong tokens, for a while', async () => {
    const answers = []
    for (let tries = 0; tries < 22; tries++) {
      answers.push(
        await askHttps(`${plane.platform}${paths.registrations}`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${'x'.repeat(43)}` },
          body: good(),
        }),
      )
    }
    assert.equal(answers[0]!.status, 401)
    assert.equal(answers.at(-1)!.status, 429)
    assert.match(String(answers.at(-1)!.headers['retry-after']), /^\d+$/)
  })
})

test('the files of a control plane are for its owner alone', async () => {
  const plane = await startTestControlPlane()
  try {
    for (const name of ['ca.key', 'root.key', 'signing.key', 'seal.key', 'server.key', 'control-plane.db']) {
      assert.equal(statSync(join(plane.data, name)).mode & 0o777, 0o600, name)
    }
    assert.equal(statSync(plane.data).mode & 0o777, 0o700)
  } finally {
    await plane.remove()
  }
})
