import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = (key: KeyObject) =>
  String(key.export({ format: 'pem', type: key.type === 'private' ? 'pkcs8' : 'spki' }))
const jwk = (key: KeyObject) => key.export({ format: 'jwk' })
const point = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }

const check = (config: object) =>
  bindPolicy(policy, {
    config: {
      client_id: 'app',
      client_secret: 'secret',
      discovery: 'https://op.example/discovery',
      session: { secret: '0123456789abcdef' },
      ...config,
    } as never,
  })
const dpop = (fields: object) => ({ dpop: { enabled: true, private_key: pem(ec.privateKey), ...fields } })
const withKey = (key: KeyObject, algorithm: string) => ({
  token_endpoint_auth_method: 'private_key_jwt',
  client_rsa_private_key: pem(key),
  client_jwt_assertion_alg: algorithm,
})

suite('refused', () => {
  const cases: [object, RegExp][] = [
    [{ use_par: true }, /"use_par" is not allowed, use "par.enabled" instead/],
    [{ dpop_private_key: 'k' }, /"dpop_private_key" is not allowed, use "dpop.private_key" instead/],
    [dpop({ public_jwk: { kty: 'OKP', x: 'a' } }), /kty "OKP" is not supported/],
    [dpop({ public_jwk: { kty: '__proto__' } }), /kty "__proto__" is not supported/],
    [dpop({ public_jwk: { kty: 'EC', crv: 'P-256' } }), /kty "EC" requires crv, x, y/],
    [dpop({ public_jwk: { ...point, x: 1 } }), /"x" must be a non-empty string/],
    [dpop({ public_jwk: { ...point, y: '' } }), /"y" must be a non-empty string/],
    [dpop({ public_jwk: { ...point, crv: 'P-384' } }), /requires "dpop.public_jwk" crv "P-256", got "P-384"/],
    [dpop({ signing_alg: 'PS256', public_jwk: point }), /"PS256" requires an RSA "dpop.public_jwk"/],
    [dpop({ public_jwk: jwk(rsa.publicKey) }), /"ES256" requires an EC "dpop.public_jwk"/],
    [dpop({ private_key: 'nope', public_jwk: point }), /"dpop.private_key" is not a valid key: /],
    [
      dpop({ private_key: pem(ec.publicKey), public_jwk: jwk(ec.publicKey) }),
      /"dpop.private_key" has no private key in it/,
    ],
    [dpop({ public_jwk: jwk(other.publicKey) }), /is not the public key of "dpop.private_key": x is "/],
    [
      withKey(rsa.privateKey, 'HS256'),
      /symmetric and cannot be used with the private_key_jwt selected by "token/,
    ],
    [withKey(rsa.privateKey, 'ES256'), /"ES256" requires an EC "client_rsa_private_key"/],
    [withKey(ec.privateKey, 'ES512'), /on curve "P-521", got "P-256"/],
    [withKey(ec.privateKey, 'RS256'), /"RS256" requires an RSA "client_rsa_private_key"/],
    [
      { token_endpoint_auth_method: 'client_secret_jwt', client_jwt_assertion_alg: 'RS256' },
      /"RS256" is asymmetric and cannot be used with the client_secret_jwt selected by "token/,
    ],
    [
      {
        ...withKey(rsa.privateKey, 'RS256'),
        introspection_endpoint: 'https://op.example/introspect',
        introspection_endpoint_auth_method: 'client_secret_jwt',
      },
      /is a single algorithm, but "token_endpoint_auth_method" selects private_key_jwt and "introspection/,
    ],
    [
      { par: { enabled: true, endpoint_auth_method: 'private_key_jwt' } },
      /"private_key_jwt" requires "client_rsa_private_key" when "par.enabled" is true/,
    ],
  ]
  for (const [config, finding] of cases) {
    test(finding.source, () => {
      assert.throws(() => check(config), finding)
    })
  }
  test('a key is not told', () => {
    assert.throws(
      () => check(dpop({ private_key: 'not-to-be-told', public_jwk: point })),
      (error: Error) => !error.message.includes('not-to-be-told'),
    )
  })
})

suite('taken', () => {
  const cases: Record<string, object> = {
    'a pair of keys': dpop({ public_jwk: jwk(ec.publicKey) }),
    'keys that are not used yet': { dpop: { private_key: 'not-a-key', public_jwk: { kty: 'RSA' } } },
    'an algorithm for the key': withKey(ec.privateKey, 'ES256'),
    'a way that is never used': {
      bearer_only: true,
      use_jwks: true,
      introspection_endpoint_auth_method: 'client_secret_jwt',
      client_jwt_assertion_alg: 'RS256',
      par: { enabled: true, endpoint_auth_method: 'private_key_jwt' },
    },
  }
  for (const [title, config] of Object.entries(cases)) {
    test(title, () => {
      assert.doesNotThrow(() => check(config))
    })
  }
})
