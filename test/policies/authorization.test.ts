/** Who may come, through the wire: what the upstream got, and that it got nothing of what was rejected. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const gateway = policyGateway(
  () => `
consumer_groups:
  - { id: staff, plugins: {} }
consumers:
  - username: jack
    group_id: staff
    labels: { team: "ops,dev", company: acme }
    plugins: { key-auth: { key: jack-key } }
  - username: jill
    labels: { team: sales }
    plugins: { key-auth: { key: jill-key } }
  - username: jim
    plugins:
      key-auth: { key: jim-key }
      consumer-restriction: { type: route_id, blacklist: [labels] }
routes:
  - { id: names, uri: /names, upstream_id: u, plugins: { key-auth: {}, consumer-restriction: { whitelist: [jack] } } }
  - { id: groups, uri: /groups, upstream_id: u, plugins: { key-auth: {}, consumer-restriction: { type: consumer_group_id, whitelist: [staff] } } }
  - { id: open, uri: /open, upstream_id: u, plugins: { consumer-restriction: { whitelist: [jack] } } }
  - { id: acl, uri: /acl, upstream_id: u, plugins: { key-auth: {}, acl: { allow_labels: { team: [dev] } } } }
  - { id: labels, uri: /labels, upstream_id: u, plugins: { key-auth: {}, attach-consumer-label: { headers: { X-Company: $company, X-Team: $team } } } }
  - { id: agents, uri: /agents, upstream_id: u, plugins: { ua-restriction: { denylist: [evil] } } }
  - { id: referers, uri: /referers, upstream_id: u, plugins: { referer-restriction: { whitelist: ["*.good.example"] } } }
  - { id: forms, uri: /forms, upstream_id: u, plugins: { csrf: { key: signing-key } } }
`,
)
const send = (path: string, headers: Record<string, string | string[]> = {}, method = 'GET') =>
  gateway.send(path, { headers, method })
const rejected = async (path: string, headers: Record<string, string | string[]> = {}, method = 'GET') => {
  const { status, text, seen } = await send(path, headers, method)
  assert.equal(seen, undefined, 'the upstream got a request that was rejected')
  return [status, JSON.parse(text)]
}
const [jack, jill] = [{ apikey: 'jack-key' }, { apikey: 'jill-key' }]

test('consumer-restriction knows the consumer and its group', async () => {
  assert.equal((await send('/names', jack)).seen?.headers['x-consumer-username'], 'jack')
  assert.deepEqual(await rejected('/names', jill), [403, { message: 'The consumer_name is forbidden.' }])
  assert.equal((await send('/groups', jack)).status, 200)
  const message = (type: string) => `The request is rejected, please check the ${type} for this request`
  assert.deepEqual(await rejected('/groups', jill), [401, { message: message('consumer_group_id') }])
  const posing = { 'x-consumer-username': 'jack' }
  assert.deepEqual(await rejected('/open', posing), [401, { message: message('consumer_name') }])
})

test('a restriction that comes with the consumer runs once it is known', async () => {
  const jim = { apikey: 'jim-key' }
  assert.equal((await send('/agents', { ...jim, 'user-agent': 'curl' })).status, 200)
  assert.deepEqual(await rejected('/labels', jim), [403, { message: 'The route_id is forbidden.' }])
})

test('acl and attach-consumer-label know its labels', async () => {
  assert.equal((await send('/acl', jack)).status, 200)
  assert.deepEqual(await rejected('/acl', jill), [403, { message: 'The consumer is forbidden.' }])
  const { seen } = await send('/labels', { ...jack, 'x-team': ['boss', 'root'] })
  assert.equal(seen?.headers['x-company'], 'acme')
  assert.equal(seen?.headers['x-team'], 'ops,dev')
})

test('ua-restriction and referer-restriction read the fields of the request', async () => {
  assert.equal((await send('/agents', { 'user-agent': 'curl' })).status, 200)
  assert.deepEqual(await rejected('/agents', { 'user-agent': ['curl', 'evil/1'] }), [
    403,
    { message: 'Not allowed' },
  ])
  assert.equal((await send('/referers', { referer: 'https://a.good.example/x' })).status, 200)
  assert.equal((await rejected('/referers', { referer: 'https://evil.example#.good.example' }))[0], 403)
})

suite('csrf', () => {
  test('a form that repeats the token of the cookie passes', async () => {
    const first = await send('/forms')
    const token = /^apisix-csrf-token=([^;]+);/.exec(first.headers.get('set-cookie') ?? '')![1]!
    const headers = { 'apisix-csrf-token': token, cookie: `a=1; apisix-csrf-token=${token}` }
    const { status, seen } = await send('/forms', headers, 'POST')
    assert.equal(status, 200)
    assert.equal(seen?.method, 'POST')
  })

  test('one that does not is rejected, and gets a token with the answer', async () => {
    assert.deepEqual(await rejected('/forms', {}, 'POST'), [401, { error_msg: 'no csrf token in headers' }])
    const field = { 'apisix-csrf-token': 'x' }
    assert.deepEqual(await rejected('/forms', field, 'DELETE'), [401, { error_msg: 'no csrf cookie' }])
    const { headers } = await send('/forms', {}, 'POST')
    assert.match(headers.get('set-cookie')!, /^apisix-csrf-token=/)
  })
})
