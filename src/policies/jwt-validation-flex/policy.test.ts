import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { suite, test } from 'node:test'
import { CallError } from '../kit/index.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const secret = 'a secret of thirty-two characters'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function hmac(claims: object, header: object = { alg: 'HS256' }, key = secret): string {
  const signed = `${encode(header)}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}

function signedBy(key: KeyObject, claims: object, header: object): string {
  const signed = `${encode(header)}.${encode(claims)}`
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const shared = { signingMethod: 'hmac', textKey: secret, skipClientIdValidation: true } as const

/** The status, and what the upstream got. */
async function outcome(config: object, token: string | undefined, options: object = {}) {
  const bound = bindPolicy(policy, { config: config as never, ...options })
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const { answer, upstream, consumer } = await bound.run({ headers })
  return {
    status: answer.status,
    body: answer.body,
    challenge: answer.headers['www-authenticate'],
    upstream,
    consumer,
    ...bound,
  }
}
const statusOf = async (...given: Parameters<typeof outcome>) => (await outcome(...given)).status

test('without a token it is 400, with a bad one 401, and nothing reaches the upstream', async () => {
  const none = await outcome(shared, undefined)
  assert.deepEqual(
    [none.status, none.body, none.challenge],
    [400, '{"error":"JWT Token is required."}', 'Bearer'],
  )
  const bad = await outcome(shared, hmac({}, { alg: 'HS256' }, 'another'.repeat(5)))
  assert.deepEqual([bad.status, bad.body, bad.challenge], [401, '{"error":"Invalid token."}', 'Bearer'])
  assert.deepEqual([none.upstream, bad.upstream], [undefined, undefined])
  assert.equal(await statusOf(shared, hmac({})), 200)
})

suite('signatures', () => {
  test('the algorithm is what the configuration says, whatever a token claims', async () => {
    for (const header of [
      { alg: 'none' },
      { alg: 'HS512' },
      { alg: 'RS256' },
      {},
      { alg: 'HS256', crit: ['x'] },
    ]) {
      assert.equal(await statusOf(shared, hmac({}, header)), 401, JSON.stringify(header))
    }
    const asSecret = { signingMethod: 'rsa', textKey: pem(rsa.publicKey), skipClientIdValidation: true }
    assert.equal(await statusOf(asSecret, hmac({}, { alg: 'HS256' }, pem(rsa.publicKey))), 401)
    assert.equal(await statusOf(asSecret, hmac({}, { alg: 'RS256' }, pem(rsa.publicKey))), 401)
  })

  test('keys are PEM with or without the lines around it', async () => {
    const bare = (key: KeyObject) =>
      pem(key)
        .replace(/-----.*-----/g, '')
        .replace(/\s/g, '')
    for (const text of [pem(rsa.publicKey), bare(rsa.publicKey)]) {
      const config = { textKey: text, skipClientIdValidation: true }
      assert.equal(await statusOf(config, signedBy(rsa.privateKey, {}, { alg: 'RS256' })), 200)
      assert.equal(await statusOf(config, signedBy(ec.privateKey, {}, { alg: 'ES256' })), 401)
    }
    const config = { signingMethod: 'es', textKey: bare(ec.publicKey), skipClientIdValidation: true }
    assert.equal(await statusOf(config, signedBy(ec.privateKey, {}, { alg: 'ES256' })), 200)
  })

  test('with none only the claims are looked at', async () => {
    const config = { signingMethod: 'none', skipClientIdValidation: true }
    for (const [claims, status] of [
      [{}, 200],
      [{ exp: 1 }, 401],
    ] as const) {
      assert.equal(await statusOf(config, `${encode({ alg: 'none' })}.${encode(claims)}.`), status)
    }
    assert.equal(await statusOf(config, 'nothing.of.that'), 401)
  })

  test('a key can be what an expression says', async () => {
    const config = {
      signingMethod: 'hmac',
      skipClientIdValidation: true,
      jwtKeyOrigin: 'customExpression',
      customKeyExpression: "#[attributes.headers['x-key']]",
    }
    const { run } = bindPolicy(policy, { config: config as never })
    for (const [key, status] of [
      [secret, 200],
      ['short', 401],
      ['another secret of thirty-two chars', 401],
    ] as const) {
      const headers = { authorization: `Bearer ${hmac({})}`, 'x-key': key }
      assert.equal((await run({ headers })).answer.status, status)
    }
  })
})

suite('key sets', () => {
  const config = {
    jwtKeyOrigin: 'jwks',
    jwksUrl: 'https://one.test/keys, https://two.test/keys',
    jwksServiceTimeToLive: 1,
    skipClientIdValidation: true,
  }
  const keys = [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'one' }]
  const token = signedBy(rsa.privateKey, {}, { alg: 'RS256', kid: 'one' })

  test('all of them are asked, and kept', async () => {
    const asked: string[] = []
    const service = ({ url }: { url: string }) => {
      asked.push(url)
      return { body: { keys: url.includes('two') ? keys : [] } }
    }
    const { status, run, advance } = await outcome(config, token, { service })
    assert.equal(status, 200)
    const count = asked.length
    const again = () => run({ headers: { authorization: `Bearer ${token}` } })
    assert.equal((await again()).answer.status, 200)
    advance(60_001)
    assert.equal((await again()).answer.status, 200)
    assert.ok(asked.length > count)
  })

  test('while they cannot be fetched, old ones stay in use; without any it is 503', async () => {
    let works = true
    const service = () => {
      if (!works) throw new CallError('unreachable', 'gone')
      return { body: { keys } }
    }
    const { run, advance } = await outcome(config, token, { service })
    works = false
    advance(120_000)
    assert.equal((await run({ headers: { authorization: `Bearer ${token}` } })).answer.status, 200)
    const absent = await outcome(config, token, { service })
    assert.deepEqual([absent.status, absent.upstream], [503, undefined])
  })
})

suite('claims', () => {
  const status = (config: object, claims: object) => statusOf({ ...shared, ...config }, hmac(claims))

  test('times count where they are there, and can be asked for', async () => {
    for (const [config, claims, expected] of [
      [{}, { exp: 1 }, 401],
      [{}, { exp: 1e10 }, 200],
      [{}, { exp: 1e300 }, 200],
      [{}, { exp: 'soon' }, 401],
      [{}, { nbf: 1e10 }, 401],
      [{ mandatoryExpClaim: true }, {}, 401],
      [{ mandatoryExpClaim: true }, { exp: 1e10 }, 200],
      [{ mandatoryNbfClaim: true }, {}, 401],
      [{ mandatoryNbfClaim: true }, { nbf: 1 }, 200],
    ] as const) {
      assert.equal(await status(config, claims), expected, JSON.stringify([config, claims]))
    }
  })

  test('audiences', async () => {
    const audience = { validateAudClaim: true, supportedAudiences: 'one, two' }
    for (const [config, claims, expected] of [
      [{}, { aud: 'three' }, 200],
      [audience, {}, 200],
      [{ ...audience, mandatoryAudClaim: true }, {}, 401],
      [audience, { aud: 'two' }, 200],
      [audience, { aud: ['three', 'one'] }, 200],
      [audience, { aud: ['three'] }, 401],
      [audience, { aud: null }, 401],
    ] as const) {
      assert.equal(await status(config, claims), expected, JSON.stringify([config, claims]))
    }
  })

  test('claims of your own have to hold', async () => {
    const custom = {
      validateCustomClaim: true,
      mandatoryCustomClaims: [{ key: 'role', value: "#[vars.claimSet.role == 'admin']" }],
      nonMandatoryCustomClaims: [{ key: 'plan', value: 'gold' }],
    }
    for (const [config, claims, expected] of [
      [custom, { role: 'admin' }, 200],
      [custom, { role: 'user' }, 401],
      [custom, {}, 401],
      [custom, { role: 'admin', plan: 'gold' }, 200],
      [custom, { role: 'admin', plan: 'tin' }, 401],
      [{ ...custom, validateCustomClaim: false }, {}, 200],
    ] as const) {
      assert.equal(await status(config, claims), expected, JSON.stringify([config, claims]))
    }
  })

  test('the upstream is told claims, and never what a client says in their place', async () => {
    const config = {
      ...shared,
      claimsToHeaders: [
        { claim: 'sub', header: 'X-User' },
        { claim: 'no', header: 'X-No' },
      ],
    }
    const { run } = bindPolicy(policy, { config: config as never })
    const headers = { authorization: `Bearer ${hmac({ sub: 'ada' })}`, 'x-user': 'root', 'x-no': 'yes' }
    const { upstream } = await run({ headers })
    assert.deepEqual([upstream?.headers['x-user'], upstream?.headers['x-no']], ['ada', undefined])
  })
})

test('the token can be elsewhere', async () => {
  const config = { ...shared, jwtOrigin: 'customExpression' as const }
  const { run } = bindPolicy(policy, { config })
  assert.equal((await run({ headers: { jwt: hmac({}) } })).answer.status, 200)
  assert.equal((await run({ headers: { authorization: `Bearer ${hmac({})}` } })).answer.status, 400)
  const other = bindPolicy(policy, { config: { ...config, jwtExpression: "#[attributes.queryParams['t']]" } })
  assert.equal((await other.run({ target: `/?t=${hmac({})}` })).answer.status, 200)
})

test('unless that is skipped, the client has to be known', async () => {
  const config = { ...shared, skipClientIdValidation: false }
  const consumers = [{ username: 'shop', plugins: { 'jwt-validation-flex': { client_id: 'app-1' } } }]
  assert.equal((await outcome(config, hmac({ client_id: 'app-1' }), { consumers })).consumer, 'shop')
  assert.equal(await statusOf(config, hmac({ client_id: 'app-2' }), { consumers }), 401)
  assert.equal(await statusOf(config, hmac({}), { consumers }), 401)
  const other = { ...config, clientIdExpression: '#[vars.claimSet.azp]' }
  assert.equal(await statusOf(other, hmac({ azp: 'app-1' }), { consumers }), 200)
})

test('what it does not take', () => {
  for (const [change, finding] of [
    [{ jwtOrigin: 'cookie' }, /jwtOrigin/],
    [{ jwtOrigin: 'customExpression', jwtExpression: 'jwt' }, /jwtExpression: has to be an expression/],
    [{ jwtOrigin: 'customExpression', jwtExpression: '#[payload.a]' }, /jwtExpression: the body/],
    [{ signingMethod: 'dsa' }, /signingMethod/],
    [{ signingKeyLength: 128 }, /signingKeyLength/],
    [{ signingKeyLength: 512 }, /textKey: a key for 512 bits has 64/],
    [{ textKey: 'short' }, /textKey: a key for 256 bits has 32/],
    [{ signingMethod: 'rsa', textKey: pem(ec.publicKey) }, /textKey: is no public key for RS256/],
    [{ jwtKeyOrigin: 'file' }, /jwtKeyOrigin/],
    [{ jwtKeyOrigin: 'jwks' }, /shared keys are not read/],
    [{ signingMethod: 'rsa', jwtKeyOrigin: 'jwks' }, /jwksUrl is needed/],
    [{ signingMethod: 'rsa', jwtKeyOrigin: 'jwks', jwksUrl: 'a' }, /jwksUrl is no URL/],
    [{ jwtKeyOrigin: 'customExpression' }, /customKeyExpression is needed/],
    [{ jwtKeyOrigin: 'customExpression', customKeyExpression: '#[x]' }, /customKeyExpression: /],
    [{ jwksServiceTimeToLive: 0 }, /jwksServiceTimeToLive/],
    [{ jwksServiceConnectionTimeout: 0 }, /jwksServiceConnectionTimeout/],
    [{ validateAudClaim: true }, /supportedAudiences: needs/],
    [{ mandatoryAudClaim: 'x' }, /mandatoryAudClaim/],
    [{ supportedAudiences: ['a'] }, /supportedAudiences/],
    [{ mandatoryExpClaim: 1 }, /mandatoryExpClaim/],
    [{ mandatoryNbfClaim: 1 }, /mandatoryNbfClaim/],
    [{ validateCustomClaim: 1 }, /validateCustomClaim/],
    [{ mandatoryCustomClaims: [{ key: 'a', value: '#[vars.x]' }] }, /mandatoryCustomClaims.0.value/],
    [{ nonMandatoryCustomClaims: [{ key: 'a', value: '#[]' }] }, /nonMandatoryCustomClaims.0.value/],
    [{ claimsToHeaders: [{ claim: 'a', header: 'Host' }] }, /claimsToHeaders.0.header/],
    [{ skipClientIdValidation: 'no' }, /skipClientIdValidation/],
    [{ skipClientIdValidation: false, clientIdExpression: '#[vars.x]' }, /clientIdExpression/],
    [{ ssl_verify: 1 }, /ssl_verify/],
  ] as const) {
    assert.throws(
      () => bindPolicy(policy, { config: { ...shared, ...change } as never }),
      finding,
      JSON.stringify(change),
    )
  }
})
