import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const custom = { credentialsOriginHasHttpBasicAuthenticationHeader: 'customExpression' } as const
const basic = { credentialsOriginHasHttpBasicAuthenticationHeader: 'httpBasicAuthenticationHeader' } as const
const application = (username: string, client_id: string, client_secret: string) => ({
  username,
  credentials: [
    { id: `${username}-app`, plugins: { 'client-id-enforcement': { client_id, client_secret } } },
  ],
})
const consumers = [application('shop', 'id-1', 's3cret'), application('bank', 'id-2', 'hunter2')]
const authorization = (pair: string) => ({
  headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
})

test('id and secret from the default headers identify the application', async () => {
  const bound = bindPolicy(policy, { config: custom, consumers })
  const run = await bound.run({ headers: { client_id: 'id-1', client_secret: 's3cret' } })
  assert.equal(run.consumer, 'shop')
  assert.equal(run.upstream?.headers['x-credential-identifier'], 'shop-app')
})

test('an id that is not there and one that does not fit are answered as Flex answers them', async () => {
  const bound = bindPolicy(policy, { config: custom, consumers })
  const absent = await bound.run()
  assert.equal(absent.answer.status, 401)
  assert.equal(absent.answer.body, '{"error":"Client ID is not present"}')
  assert.equal(absent.verdict?.contentType, 'application/json')
  assert.equal(absent.answer.headers['www-authenticate'], 'Client-ID-Enforcement')
  for (const headers of [
    { client_id: 'id-1' },
    { client_id: 'id-1', client_secret: '' },
    { client_id: 'id-1', client_secret: 'hunter2' },
    { client_id: 'id-3', client_secret: 's3cret' },
  ]) {
    const run = await bound.run({ headers })
    assert.equal(run.answer.status, 401)
    assert.equal(run.answer.body, '{"error":"Authentication Attempt Failed"}')
  }
})

test('a blank secret expression asks for the id alone', async () => {
  const bound = bindPolicy(policy, { config: { ...custom, clientSecretExpression: ' ' }, consumers })
  assert.equal((await bound.run({ headers: { client_id: 'id-2' } })).consumer, 'bank')
  assert.equal((await bound.run({ headers: { client_id: 'id-3' } })).verdict?.status, 401)
})

test('an application without a secret is not admitted where a secret is asked for', async () => {
  const keyless = { username: 'old', plugins: { 'client-id-enforcement': { client_id: 'id-9' } } }
  const bound = bindPolicy(policy, { config: custom, consumers: [keyless] })
  for (const headers of [{ client_id: 'id-9' }, { client_id: 'id-9', client_secret: '' }]) {
    assert.equal((await bound.run({ headers })).verdict?.status, 401)
  }
})

test('expressions read headers and query parameters, with either quotes', async () => {
  const bound = bindPolicy(policy, {
    config: {
      ...custom,
      clientIdExpression: '#[attributes.queryParams["id"]]',
      clientSecretExpression: "#[ attributes.headers['X-Secret'] ]",
    },
    consumers,
  })
  const headers = { 'x-secret': 's3cret' }
  assert.equal((await bound.run({ target: '/?id=id%2D1', headers })).consumer, 'shop')
  const repeated = await bound.run({ target: '/?id=id-1&id=id-1', headers })
  assert.equal(repeated.answer.body, '{"error":"Client ID is not present"}')
})

test('any other expression counts, and one that cannot be worked out is no id', async () => {
  const clientIdExpression =
    "#[splitBy(dw::core::Binaries::fromBase64(attributes.headers['x-pair']), ':')[0]]"
  const bound = bindPolicy(policy, {
    config: {
      ...custom,
      clientIdExpression,
      clientSecretExpression: "#[attributes.headers['x-secret'] ++ '']",
    },
    consumers,
  })
  const pair = Buffer.from('id-1:x').toString('base64')
  const headers = { 'x-pair': pair, 'x-secret': 's3cret' }
  assert.equal((await bound.run({ headers })).consumer, 'shop')
  const broken = await bound.run({ headers: { ...headers, 'x-pair': '%%%' } })
  assert.equal(broken.answer.body, '{"error":"Client ID is not present"}')
})

test('wrong expressions are findings, unless HTTP Basic makes them idle', () => {
  const clientIdExpression = "#[vars.claimSet['client_id']]"
  assert.throws(
    () => bindPolicy(policy, { config: { ...custom, clientIdExpression } }),
    /clientIdExpression: line 1, column 6: vars has no claimSet here/,
  )
  assert.throws(
    () => bindPolicy(policy, { config: { ...custom, clientSecretExpression: 'secret' } }),
    /^Error: clientSecretExpression/,
  )
  assert.doesNotThrow(() => bindPolicy(policy, { config: { ...basic, clientIdExpression } }))
})

test('HTTP Basic credentials, with their own challenge', async () => {
  const bound = bindPolicy(policy, { config: basic, consumers })
  assert.equal((await bound.run(authorization('id-1:s3cret'))).consumer, 'shop')
  const wrong = await bound.run(authorization('id-1:wrong'))
  assert.equal(wrong.answer.body, '{"error":"Authentication Attempt Failed"}')
  assert.equal(wrong.answer.headers['www-authenticate'], 'Basic realm="mule-realm"')
  for (const request of [{}, { headers: { authorization: 'Bearer x' } }, authorization(':s3cret')]) {
    assert.equal((await bound.run(request)).answer.body, '{"error":"Client ID is not present"}')
  }
})

test('where contracts exist for an API, an application without one is refused', async () => {
  const contracts = [{ id: 'c1', consumer: 'shop', service_id: 's1', tier: 'gold' }]
  const shop = { headers: { client_id: 'id-1', client_secret: 's3cret' } }
  const bank = { headers: { client_id: 'id-2', client_secret: 'hunter2' } }
  const governed = bindPolicy(policy, { config: custom, consumers, contracts })
  assert.equal((await governed.run(shop)).consumer, 'shop')
  const refused = await governed.run(bank)
  assert.equal(refused.consumer, undefined)
  assert.equal(refused.answer.body, '{"error":"Authentication Attempt Failed"}')
  const elsewhere = bindPolicy(policy, { config: custom, consumers, contracts, binding: { serviceId: 's2' } })
  assert.equal((await elsewhere.run(bank)).consumer, 'bank')
})
