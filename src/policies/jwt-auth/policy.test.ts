import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function hmacToken(payload: object, secret: string | Buffer, alg = 'HS256', header: object = {}): string {
  const signed = `${part({ typ: 'JWT', alg, ...header })}.${part(payload)}`
  const hash = `sha${alg.slice(2)}`
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`
}

const consumers = [
  {
    username: 'jack',
    plugins: {
      'jwt-auth': { key: 'user-key', secret: 'my-secret', algorithm: 'HS256', lifetime_grace_period: 0 },
    },
  },
]
const payload = { key: 'user-key' }
const good = hmacToken(payload, 'my-secret')
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

/** The last character of 32 bytes in base64url has two bits that stand for nothing. */
function inAnotherWay(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) + 1]!
}

async function messageOf(token: string, config: object = {}): Promise<string | undefined> {
  const { run } = bindPolicy(policy, { config, consumers })
  const { verdict } = await run(bearer(token))
  return verdict && (verdict.body as { message: string }).message
}

test('a good token identifies its consumer, from wherever it comes', async () => {
  const { run } = bindPolicy(policy, { consumers, variables: {} })
  for (const request of [bearer(good), { headers: { authorization: good } }, { target: `/?jwt=${good}` }]) {
    assert.equal((await run(request)).consumer, 'jack')
  }
  const cookie = bindPolicy(policy, { consumers, variables: { cookie_jwt: good } })
  assert.equal((await cookie.run()).consumer, 'jack')
})

suite('a token that was verified before', () => {
  const withSecret = (secret: string, key = 'user-key') => [
    {
      username: 'jack',
      plugins: { 'jwt-auth': { key, secret, algorithm: 'HS256', lifetime_grace_period: 0 } },
    },
  ]

  test('is refused from the moment that the key of its consumer is another, or the consumer gone', async () => {
    const bound = bindPolicy(policy, { consumers: withSecret('my-secret') })
    assert.equal((await bound.run(bearer(good))).consumer, 'jack')
    assert.equal((await bound.run(bearer(good))).consumer, 'jack')
    bound.setConsumers(withSecret('rotated'))
    assert.equal((await bound.run(bearer(good))).answer.status, 401)
    bound.setConsumers(withSecret('my-secret', 'another-key'))
    assert.equal((await bound.run(bearer(good))).answer.status, 401)
    bound.setConsumers([])
    assert.equal((await bound.run(bearer(good))).answer.status, 401)
    bound.setConsumers(withSecret('my-secret'))
    assert.equal((await bound.run(bearer(good))).consumer, 'jack')
  })

  test('is refused when its time is over', async () => {
    const bound = bindPolicy(policy, { consumers })
    const soon = Math.floor(Date.UTC(2026, 0, 1) / 1000) + 60
    const token = hmacToken({ ...payload, exp: soon }, 'my-secret')
    assert.equal((await bound.run(bearer(token))).consumer, 'jack')
    bound.advance(59_000)
    assert.equal((await bound.run(bearer(token))).consumer, 'jack')
    bound.advance(1000)
    assert.equal((await bound.run(bearer(token))).consumer, undefined)
  })

  test('counts elsewhere as far as the settings there say the same', async () => {
    assert.equal(await messageOf(good), undefined)
    assert.equal(await messageOf(good, { claims_to_verify: ['exp'] }), 'failed to verify jwt')
    assert.equal(await messageOf(good, { key_claim_name: 'sub' }), 'missing user key in JWT token')
    const odd = hmacToken({ ...payload, exp: 99_999_999_999, nbf: 'never' }, 'my-secret')
    assert.equal(await messageOf(odd, { claims_to_verify: ['exp'] }), undefined)
    assert.equal(await messageOf(odd), 'failed to verify jwt')
  })

  test('does not lend its signature to a token that differs in any character', async () => {
    const bound = bindPolicy(policy, { consumers })
    assert.equal((await bound.run(bearer(good))).consumer, 'jack')
    assert.equal((await bound.run(bearer(inAnotherWay(good)))).consumer, undefined)
    assert.equal((await bound.run(bearer(`${good}A`))).consumer, undefined)
  })
})

test('nothing of it goes on where credentials are hidden', async () => {
  const { run } = bindPolicy(policy, { config: { hide_credentials: true }, consumers })
  assert.equal((await run(bearer(good))).upstream?.headers.authorization, undefined)
  assert.equal((await run({ target: `/?a=1&jwt=${good}&b=2` })).upstream?.target, '/?a=1&b=2')
  const cookie = bindPolicy(policy, {
    config: { hide_credentials: true },
    consumers,
    variables: { cookie_jwt: good },
  })
  const { upstream } = await cookie.run({ headers: { cookie: `a=1; jwt=${good}; b=2` } })
  assert.equal(upstream?.headers.cookie, 'a=1; b=2')
})

suite('refused', () => {
  const [head, body] = good.split('.')
  const refused: [string, string, string][] = [
    ['another secret', hmacToken(payload, 'other'), 'failed to verify jwt'],
    ['a stranger', hmacToken({ key: 'nobody' }, 'my-secret'), 'Invalid user key in JWT token'],
    ['nobody', hmacToken({}, 'my-secret'), 'missing user key in JWT token'],
    ['no signature', `${head}.${body}.`, 'JWT token invalid'],
    ['two parts', `${head}.${body}`, 'JWT token invalid'],
    ['no JSON', `AAAA.${body}.AAAA`, 'JWT token invalid'],
    ['the same bytes written in another way', inAnotherWay(good), 'failed to verify jwt'],
    [
      'extensions that have to be understood',
      hmacToken(payload, 'my-secret', 'HS256', { crit: ['b64'] }),
      'JWT token invalid',
    ],
    ['algorithm none', `${part({ alg: 'none' })}.${part(payload)}.AAAA`, 'failed to verify jwt'],
    ['another algorithm than the key’s', hmacToken(payload, 'my-secret', 'HS512'), 'failed to verify jwt'],
    [
      'an algorithm that is claimed only',
      hmacToken(payload, 'my-secret', 'HS256', { alg: 'HS512' }),
      'failed to verify jwt',
    ],
    ['over', hmacToken({ ...payload, exp: 1 }, 'my-secret'), 'failed to verify jwt'],
    ['not yet good', hmacToken({ ...payload, nbf: 99_999_999_999 }, 'my-secret'), 'failed to verify jwt'],
    [
      'a time that is no number',
      hmacToken({ ...payload, exp: 'never' }, 'my-secret'),
      'failed to verify jwt',
    ],
  ]
  for (const [what, token, message] of refused) {
    test(what, async () => {
      assert.equal(await messageOf(token), message)
    })
  }

  test('without the claims that are asked for', async () => {
    assert.equal(await messageOf(good, { claims_to_verify: ['exp'] }), 'failed to verify jwt')
    assert.equal(
      await messageOf(hmacToken({ ...payload, exp: 99_999_999_999 }, 'my-secret'), {
        claims_to_verify: ['exp'],
      }),
      undefined,
    )
  })

  test('nothing at all: 401 with a challenge', async () => {
    const { answer } = await bindPolicy(policy, { consumers }).run()
    assert.equal(answer.status, 401)
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="jwt"')
    assert.equal(answer.body, '{"message":"Missing JWT token in request"}\n')
  })
})

test('a credential has what its algorithm needs', () => {
  const finding = (credential: object) =>
    policy.validateCredential?.({ algorithm: 'HS256', ...credential } as never)
  assert.match(finding({})!, /secret" is required/)
  assert.match(finding({ secret: '^%$', base64_secret: true })!, /not in base64/)
  assert.equal(finding({ secret: 'c2VjcmV0', base64_secret: true }), undefined)
  assert.equal(finding({ algorithm: 'RS256', public_key: 'x' }), undefined)
})

suite('public keys', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pairs: [string, { publicKey: KeyObject; privateKey: KeyObject }, object][] = [
    ['RS256', rsa, {}],
    ['PS384', rsa, { padding: 6, saltLength: 48 }],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }), { dsaEncoding: 'ieee-p1363' }],
    ['EdDSA', generateKeyPairSync('ed25519'), {}],
  ]
  for (const [algorithm, { publicKey, privateKey }, options] of pairs) {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const bound = bindPolicy(policy, {
      consumers: [
        {
          username: 'jill',
          plugins: { 'jwt-auth': { key: 'k', algorithm, public_key: pem, lifetime_grace_period: 0 } },
        },
      ],
    })
    const signed = `${part({ alg: algorithm })}.${part({ key: 'k' })}`
    const hash = algorithm === 'EdDSA' ? null : `sha${algorithm.slice(2)}`

    test(algorithm, async () => {
      const signature = sign(hash, Buffer.from(signed), { key: privateKey, ...options }).toString('base64url')
      assert.equal((await bound.run(bearer(`${signed}.${signature}`))).consumer, 'jill')
      assert.equal((await bound.run(bearer(`${signed}.${signature.slice(0, -4)}AAAA`))).consumer, undefined)
    })

    test(`${algorithm}: the public key is no secret to sign with`, async () => {
      const forged = hmacToken({ key: 'k' }, pem)
      assert.equal((await bound.run(bearer(forged))).consumer, undefined)
    })
  }
})
