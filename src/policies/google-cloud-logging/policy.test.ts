import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const private_key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

test('entries are written with a token that is kept', async (t) => {
  const { url, requests } = await logServer(t, ({ target }) => ({
    text:
      target === '/token'
        ? JSON.stringify({ access_token: 'at', token_type: 'Bearer', expires_in: 3600 })
        : '{}',
  }))
  const account = {
    client_email: 'a@b',
    private_key,
    project_id: 'p',
    token_uri: `${url}/token`,
    entries_uri: `${url}/write`,
    scopes: ['s1', 's2'],
  }
  const bound = bindPolicy(policy, {
    config: { auth_config: account as never, batch_max_size: 1, log_format_extra: { more: 'x' } },
  })
  await bound.run({ headers: { 'user-agent': 'tester' } }, { duration: 1500 })
  const asked = new URLSearchParams((await requests.next()).body)
  const claims = JSON.parse(Buffer.from(asked.get('assertion')!.split('.')[1]!, 'base64url').toString())
  assert.deepEqual([claims.iss, claims.aud, claims.scope], ['a@b', `${url}/token`, 's1 s2'])
  const { headers, body } = await requests.next()
  assert.equal(headers.authorization, 'Bearer at')
  const { entries, partialSuccess } = JSON.parse(body)
  assert.equal(partialSuccess, false)
  const { httpRequest, jsonPayload, logName, labels, resource, timestamp } = entries[0]
  assert.deepEqual(
    [httpRequest.latency, httpRequest.userAgent, httpRequest.status],
    ['1.500s', 'tester', 200],
  )
  assert.deepEqual(jsonPayload, { more: 'x', route_id: 'r1', service_id: 's1' })
  assert.deepEqual(
    [logName, labels, resource, timestamp],
    [
      'projects/p/logs/apisix.apache.org%2Flogs',
      { source: 'apache-apisix-google-cloud-logging' },
      { type: 'global' },
      '2026-01-01T00:00:00.000Z',
    ],
  )
  await bound.run()
  assert.equal((await requests.next()).target, '/write', 'the token is still good')
  bound.advance(3_541_000)
  await bound.run()
  assert.equal((await requests.next()).target, '/token')
})

for (const config of [
  {},
  { auth_file: 'a', auth_config: { client_email: 'a', private_key: 'b', project_id: 'c' } },
  { auth_config: { client_email: 'a', private_key: 'b' } },
  { auth_config: { client_email: 'a', private_key: 'b', project_id: 'c', token_uri: 'nowhere' } },
  { auth_config: { client_email: 'a', private_key: 'b', project_id: 'c', scopes: [] } },
  { auth_file: 'a', resource: {} },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
