/** Who may use the Admin API. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { request } from 'undici'
import { adminKey, startAdminGateway, viewerKey } from './gateway.ts'

const refusal = (description: string) => ({ error_msg: 'failed to check token', description })

test('a key comes in a field, in the query or in a cookie', async (t) => {
  const { admin, api } = await startAdminGateway(t)
  t.assert.equal((await admin('GET', '/routes')).status, 200)
  t.assert.equal((await fetch(`${api}/routes?api_key=${adminKey}`)).status, 200)
  t.assert.equal(
    (await fetch(`${api}/routes`, { headers: { cookie: `a=b; x_api_key=${adminKey}` } })).status,
    200,
  )
  const missing = await fetch(`${api}/routes`)
  t.assert.deepEqual([missing.status, await missing.json()], [401, refusal('missing apikey')])
  const wrong = await fetch(`${api}/unknown`, { headers: { 'x-api-key': `${adminKey}x` } })
  t.assert.deepEqual([wrong.status, await wrong.json()], [401, refusal('wrong apikey')])
})

test('a viewer looks, and changes nothing', async (t) => {
  const { admin } = await startAdminGateway(t)
  const viewer = { 'x-api-key': viewerKey }
  t.assert.equal((await admin('GET', '/routes', undefined, viewer)).status, 200)
  t.assert.equal((await admin('HEAD', '/configs', undefined, viewer)).status, 200)
  for (const [method, path] of [
    ['PUT', '/routes/1'],
    ['DELETE', '/routes/1'],
    ['PUT', '/configs'],
    ['POST', '/configs/validate'],
  ] as const) {
    const refused = await admin(method, path, method === 'DELETE' ? undefined : {}, viewer)
    t.assert.deepEqual([refused.status, refused.body], [401, refusal('invalid method for role viewer')])
  }
})

test('who is wrong too often waits', async (t) => {
  const { admin } = await startAdminGateway(t)
  const wrong = { 'x-api-key': 'a guess' }
  let answer = await admin('GET', '/routes', undefined, wrong)
  for (let count = 0; answer.status === 401 && count < 50; count++) {
    answer = await admin('GET', '/routes', undefined, wrong)
  }
  t.assert.deepEqual([answer.status, answer.body], [429, refusal('too many wrong keys, try again later')])
  t.assert.equal(Number(answer.headers.get('retry-after')) > 0, true)
  t.assert.equal((await admin('GET', '/routes')).status, 429)
})

test('pages of other sites need a key that they send themselves', async (t) => {
  const { admin, api } = await startAdminGateway(t)
  const preflight = await fetch(`${api}/routes/1`, {
    method: 'OPTIONS',
    headers: { origin: 'http://dashboard.test' },
  })
  t.assert.equal(preflight.status, 200)
  t.assert.equal(
    preflight.headers.get('access-control-allow-methods'),
    'POST, GET, PUT, OPTIONS, DELETE, PATCH',
  )
  const list = await admin('GET', '/routes', undefined, { origin: 'http://dashboard.test' })
  t.assert.deepEqual([list.status, list.headers.get('access-control-allow-origin')], [200, '*'])

  const cookie = `x_api_key=${adminKey}`
  const foreign: Record<string, string>[] = [
    { cookie, origin: 'http://evil.test' },
    { cookie, 'sec-fetch-site': 'cross-site' },
    { cookie, host: 'rebound.test' },
  ]
  for (const headers of foreign) {
    const { statusCode, body } = await request(`${api}/routes`, { headers })
    await body.dump()
    t.assert.equal(statusCode, 403)
  }
})

test('without cors no page of another site gets an answer', async (t) => {
  const { admin, api } = await startAdminGateway(t, '', 'cors: false')
  t.assert.equal((await fetch(`${api}/routes`, { method: 'OPTIONS' })).status, 401)
  t.assert.equal((await admin('GET', '/routes')).headers.get('access-control-allow-origin'), null)
})

test('addresses that are not allowed are not heard', async (t) => {
  const { admin } = await startAdminGateway(t, '', 'allow: [10.0.0.0/8]')
  t.assert.equal((await admin('GET', '/routes')).status, 403)
})

test('every request that would change something is written down, and no key is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'audit.log')
  const { admin, api, stop } = await startAdminGateway(t, '', `audit_log: "${file}"`)
  await admin('PUT', '/routes/1', { uri: '/1', plugins: {} })
  await admin('GET', '/routes/1')
  await fetch(`${api}/routes/1?api_key=a-wrong-key`, { method: 'DELETE' })
  await admin('DELETE', '/routes/1')
  await stop()
  const text = await readFile(file, 'utf8')
  t.assert.doesNotMatch(text, /key/)
  const entries = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.assert.deepEqual(
    entries.map(({ caller, client, method, path, status }) => [caller, client, method, path, status]),
    [
      ['tests', '127.0.0.1', 'PUT', 'routes/1', 201],
      [undefined, '127.0.0.1', 'DELETE', 'routes/1', 401],
      ['tests', '127.0.0.1', 'DELETE', 'routes/1', 200],
    ],
  )
})

test('a body that is too large is refused unread', async (t) => {
  const { admin } = await startAdminGateway(t)
  const refused = await admin('PUT', '/routes/1', `{"desc":"${'x'.repeat(1_572_864)}"}`)
  t.assert.deepEqual(refused.body, {
    error_msg: 'invalid request body: request size 1572875 is greater than the maximum size 1572864 allowed',
  })
})
