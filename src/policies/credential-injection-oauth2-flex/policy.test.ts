import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call } from '../kit/calls.ts'
import { CallError } from '../kit/index.ts'
import { bindPolicy, type FakeAnswer } from '../kit/testing.ts'
import policy from './policy.ts'

const needed = { oauthService: 'http://auth.test/token', clientId: 'gate way', clientSecret: 's:t' }

function bound(config: object = {}, answer: (call: Call) => FakeAnswer = () => token('first', 60)) {
  const calls: Call[] = []
  const policyBound = bindPolicy(policy, {
    config: { ...needed, ...config },
    service: (call) => {
      calls.push(call)
      return answer(call)
    },
  })
  const sent = async (headers = {}) => {
    const { upstream, answer: got } = await policyBound.run({ headers })
    return { authorization: upstream?.headers.authorization, status: got.status, body: got.body }
  }
  return { ...policyBound, calls, sent }
}

const token = (text: string, seconds?: unknown): FakeAnswer => ({
  body: { access_token: text, expires_in: seconds },
})

test('a token is asked for once, with the credentials of the gateway, and again before its end', async () => {
  let number = 0
  const { sent, calls, advance } = bound({ scope: ['one', 'two'] }, () => token(`t${++number}`, 60))
  assert.equal((await sent({ authorization: 'Basic of-the-client' })).authorization, 'Bearer t1')
  assert.equal((await sent()).authorization, 'Bearer t1')
  const [call] = calls
  assert.deepEqual(
    [call?.method, call?.url, call?.body],
    ['POST', needed.oauthService, 'grant_type=client_credentials&scope=one+two'],
  )
  assert.equal(call?.headers?.authorization, `Basic ${Buffer.from('gate%20way:s%3At').toString('base64')}`)
  advance(50_000)
  assert.equal((await sent()).authorization, 'Bearer t2')
  assert.equal(calls.length, 2)
})

test('a token stays in use while no other can be had, and not beyond its end', async () => {
  let works = true
  const { sent, advance } = bound({}, () => {
    if (!works) throw new CallError('unreachable', 'gone')
    return token('t', 60)
  })
  await sent()
  works = false
  advance(55_000)
  assert.equal((await sent()).authorization, 'Bearer t')
  advance(6000)
  assert.deepEqual(await sent(), {
    authorization: undefined,
    status: 503,
    body: '{"error":"No credentials for the service can be had"}',
  })
})

test('what is no token is none', async () => {
  for (const answer of [
    { status: 401, body: { access_token: 'x' } },
    { body: {} },
    { body: 'no json' },
    { body: { access_token: 'a b' } },
    { body: { access_token: 'a\r\nX-Evil: 1' } },
    { body: { access_token: 7 } },
  ]) {
    const { sent } = bound({}, () => answer)
    assert.equal((await sent()).status, 503, JSON.stringify(answer))
  }
  for (const seconds of [undefined, 'soon', -1, Number.NaN]) {
    assert.equal((await bound({}, () => token('t', seconds)).sent()).authorization, 'Bearer t')
  }
})

test('requests can pass without one, and then without credentials of the client', async () => {
  const { sent } = bound({ allowRequestWithoutCredential: true }, () => ({ status: 500 }))
  assert.deepEqual(await sent({ authorization: 'Basic of-the-client' }), {
    authorization: undefined,
    status: 200,
    body: '',
  })
})

test('credentials of the client can stay', async () => {
  const { sent, calls } = bound({ overwrite: false })
  assert.equal((await sent({ authorization: 'Basic own' })).authorization, 'Basic own')
  assert.equal(calls.length, 0)
  assert.equal((await sent()).authorization, 'Bearer first')
})

test('what it does not take', () => {
  for (const [config, finding] of [
    [{ oauthService: 'ftp://a' }, /oauthService has to begin/],
    [{ clientId: '' }, /clientId/],
    [{ clientSecret: '' }, /clientSecret/],
    [{ scope: ['a b'] }, /scope/],
    [{ overwrite: 1 }, /overwrite/],
    [{ tokenFetchTimeout: 0 }, /tokenFetchTimeout/],
    [{ tokenFetchTimeout: 60_001 }, /tokenFetchTimeout/],
    [{ allowRequestWithoutCredential: 'yes' }, /allowRequestWithoutCredential/],
    [{ ssl_verify: 0 }, /ssl_verify/],
    [{ other: 1 }, /other/],
  ] as const) {
    assert.throws(() => bindPolicy(policy, { config: { ...needed, ...config } as never }), finding)
  }
})
