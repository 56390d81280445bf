/** Who may do what, and how often they may be wrong. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createCertificateRequest, paths } from '../../src/config-sync/protocol/index.ts'
import {
  askHttps,
  type Json,
  startTestControlPlane,
  TestAgent,
  type TestControlPlane,
} from '../harness/embedded-control-plane.ts'

suite('access', () => {
  let plane: TestControlPlane
  before(async () => {
    plane = await startTestControlPlane()
  })
  after(() => plane.remove())

  const bearing = (token: string) => (method: string, path: string, body?: unknown) =>
    askHttps(`${plane.platform}${path}`, { method, body, headers: { Authorization: `Bearer ${token}` } })
  const login = (username: string, password: string) =>
    askHttps(`${plane.platform}${paths.login}`, { method: 'POST', body: { username, password } })
  const password = 'correct horse battery'

  test('of a user: by password, as far as their scopes go', async () => {
    const scopes = ['Read Servers', 'Read Configuration']
    const made = await plane.ask('POST', '/api/users', { username: 'ann', password, scopes })
    assert.equal(made.status, 201, made.text)
    assert.equal(made.json.value.password, undefined)
    const { status, json } = await login('ann', password)
    assert.equal(status, 200)
    assert.deepEqual([json.token_type, json.expires_in], ['bearer', 3600])
    const ask = bearing(json.access_token)
    assert.equal((await ask('GET', '/accounts/api/me')).json.user.username, 'ann')
    assert.equal((await ask('GET', '/api/gateway_groups')).status, 200)
    assert.equal((await ask('GET', '/apisix/admin/routes')).status, 200)
    assert.equal((await ask('PUT', '/apisix/admin/routes/1', {})).status, 403)
    assert.equal((await ask('POST', '/api/gateway_groups/default/publish')).status, 403)
    assert.equal((await ask('POST', '/api/gateway_groups/default/instance_tokens')).status, 403)
    assert.equal((await ask('GET', '/api/users')).status, 403)
    await plane.ask('DELETE', `/api/users/${made.json.value.id}`)
    assert.equal((await ask('GET', '/accounts/api/me')).status, 401, 'tokens go with their user')
  })

  test('of an application: by its secret, and it may renew certificates', async () => {
    const { json } = await plane.ask('POST', '/api/applications', { name: 'ci', scopes: ['Manage Servers'] })
    const { client_id, client_secret } = json.value
    const body = { client_id, client_secret, grant_type: 'client_credentials' }
    const granted = await askHttps(`${plane.platform}${paths.token}`, { method: 'POST', body })
    assert.equal(granted.status, 200, granted.text)
    const wrong = await askHttps(`${plane.platform}${paths.token}`, {
      method: 'POST',
      body: { ...body, client_secret: 'no' },
    })
    assert.equal(wrong.status, 401)
    const agent = await TestAgent.register(plane.platform, plane.token)
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const csr = createCertificateRequest(agent.registration.id, key)
    const renewed = await bearing(granted.json.access_token)('POST', paths.renewal(agent.registration.id), {
      csr,
    })
    assert.equal(renewed.status, 200, renewed.text)
    const nobody = await askHttps(`${plane.platform}${paths.renewal(agent.registration.id)}`, {
      method: 'POST',
      body: { csr },
    })
    assert.equal(nobody.status, 401)
  })

  test('nobody gives what they do not have', async () => {
    await plane.ask('POST', '/api/users', { username: 'bob', password, scopes: ['Manage Access'] })
    const ask = bearing((await login('bob', password)).json.access_token)
    assert.equal((await ask('POST', '/api/admin_keys', { name: 'mine' })).status, 403)
    const wanted = { username: 'bobby', password, scopes: ['Manage Configuration'] }
    assert.equal((await ask('POST', '/api/users', wanted)).status, 403)
  })

  test('of a key of one group ends there', async () => {
    await plane.ask('POST', '/api/gateway_groups', { id: 'g2', name: 'g2' })
    const { json } = await plane.ask('PUT', '/api/gateway_groups/g2/admin_key')
    const ask = (method: string, path: string, body?: unknown) =>
      askHttps(`${plane.platform}${path}`, { method, body, headers: { 'X-API-KEY': json.value.key } })
    const upstream = { nodes: { '127.0.0.1:1': 1 } }
    assert.equal((await ask('PUT', '/apisix/admin/upstreams/u', upstream)).status, 201, 'its own by default')
    assert.equal((await ask('GET', '/apisix/admin/upstreams?gateway_group_id=default')).status, 403)
    assert.equal((await ask('GET', '/api/gateway_groups/default/versions')).status, 403)
    assert.deepEqual(
      (await ask('GET', '/api/gateway_groups')).json.list.map(({ id }: Json) => id),
      ['g2'],
    )
    const elsewhere = await plane.ask('GET', '/apisix/admin/upstreams/u')
    assert.equal(elsewhere.status, 404)
  })

  test('of nobody ends at once', async () => {
    for (const path of ['/api/gateway_groups', '/apisix/admin/routes', '/accounts/api/me', '/api/version']) {
      assert.equal((await askHttps(`${plane.platform}${path}`)).status, 401, path)
      const wrong = await askHttps(`${plane.platform}${path}`, { headers: { 'X-API-KEY': 'a7adm-wrong' } })
      assert.equal(wrong.status, 401, path)
    }
  })

  test('is not found by trying', async () => {
    const answers = []
    for (let tries = 0; tries < 7; tries++) answers.push(await login('nobody', 'x'))
    assert.deepEqual(
      answers.slice(0, 5).map(({ status }) => status),
      [401, 401, 401, 401, 401],
    )
    assert.equal(answers.at(-1)!.status, 429)
    assert.ok(Number(answers.at(-1)!.headers['retry-after']) > 0)
  })

  test('is written down, without secrets', async () => {
    const { json } = await plane.ask('GET', '/api/audit_logs?page_size=500')
    const entries = json.list.map(({ who, method, path, status }: Json) => [who, method, path, status])
    assert.deepEqual(entries.at(-1), ['first', 'POST', '/api/users', 201])
    assert.ok(entries.some(([who, , path]: unknown[]) => who === null && path === '/accounts/api/login'))
    const file = readFileSync(join(plane.data, 'control-plane.db'), 'latin1')
    const log = readFileSync(join(plane.data, 'control-plane.db-wal'), 'latin1')
    for (const secret of [password, plane.key]) assert.ok(!file.includes(secret) && !log.includes(secret))
  })
})

suite('what is asked', () => {
  let plane: TestControlPlane
  before(async () => {
    plane = await startTestControlPlane()
  })
  after(() => plane.remove())

  test('and has a large answer gets it over a connection that ends with it, so that its buffers go', async () => {
    const agent = new Agent({ keepAlive: true, rejectUnauthorized: false })
    const fate = (path: string) =>
      new Promise((resolve, reject) => {
        const sent = request(`${plane.platform}${path}`, { agent }, (response) => {
          response.on('error', reject)
          response.on('end', () => resolve([response.statusCode, response.headers.connection]))
          response.resume()
        })
        sent.on('error', reject)
        sent.end()
      })
    assert.deepEqual(await fate('/sync/v1/trust'), [200, 'keep-alive'])
    assert.deepEqual(await fate('/api/openapi.json'), [200, 'close'])
    agent.destroy()
  })

  test('by nobody, and leads to nothing, leaves no line in the audit log', async () => {
    const total = async () => (await plane.ask('GET', '/api/audit_logs')).json.total
    const before = await total()
    for (const [method, path, status] of [
      ['POST', '/none', 404],
      ['PUT', '/api/gateway_groups', 405],
      ['POST', '/api/gateway_groups', 401],
      ['POST', '/accounts/api/login', 400],
    ] as const) {
      const answer = await askHttps(`${plane.platform}${path}`, { method, body: {} })
      assert.equal(answer.status, status)
      if (status === 405) assert.equal(answer.headers.allow, 'GET, POST')
    }
    assert.equal(await total(), before)
    const headers = { 'X-API-KEY': 'wrong' }
    await askHttps(`${plane.platform}/api/gateway_groups`, { method: 'POST', body: {}, headers })
    assert.equal(await total(), before + 1)
  })

  const cases: [string, number, string, string, unknown?][] = [
    ['nothing that is there', 404, 'GET', '/api/none'],
    ['another method', 405, 'DELETE', '/api/gateway_groups'],
    ['a body that is no JSON', 400, 'POST', '/api/gateway_groups', '{'],
    ['no body', 400, 'POST', '/api/gateway_groups'],
    ['a field that there is not', 400, 'POST', '/api/gateway_groups', { name: 'x', nmae: 'x' }],
    ['a group twice', 409, 'POST', '/api/gateway_groups', { name: 'default' }],
    ['a group that is not there', 404, 'GET', '/api/gateway_groups/none/versions'],
    ['a page that is no number', 400, 'GET', '/api/instances?page=x'],
    ['a status that there is not', 400, 'GET', '/api/instances?status=Sick'],
    ['the Admin API of a group that is not there', 404, 'GET', '/apisix/admin/routes?gateway_group_id=none'],
    ['the end of the default group', 400, 'DELETE', '/api/gateway_groups/default'],
    ['a version that is not there', 404, 'POST', '/api/gateway_groups/default/rollback', { version: 99 }],
    ['a short password', 400, 'POST', '/api/users', { username: 'x', password: 'short' }],
    ['a body that is too large', 413, 'POST', '/api/gateway_groups', { name: 'x'.repeat(2_000_000) }],
  ]
  for (const [what, status, method, path, body] of cases) {
    test(`is answered with ${status}: ${what}`, async () => {
      const answer = await plane.ask(method, path, body)
      assert.equal(answer.status, status, answer.text)
      assert.equal(typeof answer.json.error_msg, 'string')
    })
  }
})
