/**
 * Project Wycheproof's vectors of JSON Web Signatures against the verifiers of policies. They are not part of this
 * repository: `WYCHEPROOF` names a checkout of C2SP/wycheproof.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  algorithms,
  isSecret,
  KeySet,
  type RemoteDocument,
  readKeySet,
  readToken,
  type Token,
  verifierOf,
} from '../../src/policies/kit/index.ts'
import { isBase64url } from '../../src/policies/kit/jwt/token.ts'

interface Key {
  kty: string
  alg?: string
  k?: string
  key_ops?: string[]
}

interface Group {
  comment: string
  private?: Key
  public?: Key
  tests: {
    tcId: number
    comment: string
    jws: string
    result: 'valid' | 'invalid' | 'acceptable'
    flags: string[]
  }[]
}

/** Two vectors about padding that hold none: their text is that of vector 357, which is valid. */
const lostTheirFault = new Set([367, 370])

/** Valid vectors that are refused, and why that is right. */
const refusedRightly = new Map([
  // The key says that it is for PS256 and the token that it was made with PS384. The algorithm is that of the key
  // (RFC 7517, 4.4), and a key is used with exactly one (RFC 8725, 3.1).
  [346, 'Figure20'],
  [350, 'Figure20'],
  // The key says that it is for ES521, which is no algorithm: that of P-521 is ES512 (RFC 7518, 3.4).
  [347, 'Figure27'],
  [351, 'Figure27'],
  // There is a character that is not of the alphabet (RFC 7515, 2), which a reader has to refuse (RFC 4648, 3.3).
  [372, 'InvalidCharacterInsertedInHeader'],
  [373, 'InvalidCharacterInsertedInPayload'],
])

const folder = process.env.WYCHEPROOF ?? ''

if (folder !== '') test('signatures: what Wycheproof calls valid is verified, and nothing else', judge)

async function judge(context: TestContext): Promise<void> {
  const path = join(folder, 'testvectors_v1/json_web_signature_test.json')
  const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: Group[] }
  const accepted: string[] = []
  const refused = new Map<number, string>()
  let good = 0
  for (const group of testGroups) {
    for (const { tcId, comment, jws, result } of group.tests) {
      const isGood = await verifies(group, jws)
      if (isGood && result === 'invalid' && !lostTheirFault.has(tcId)) accepted.push(`${tcId} ${comment}`)
      if (!isGood && result === 'valid') refused.set(tcId, comment)
      if (isGood && result === 'valid') good++
    }
  }
  context.diagnostic(`valid and verified: ${good}; valid and refused, as they should be: ${refused.size}`)
  assert.deepEqual(accepted, [])
  assert.deepEqual(refused, refusedRightly)
  assert.ok(good > 0)
}

async function verifies(group: Group, jws: string): Promise<boolean> {
  const token = tokenOf(jws)
  if (token === undefined) return false
  const key = group.public ?? group.private!
  if (key.kty !== 'oct') {
    const keys = readKeySet({ keys: [key] })
    return new KeySet({
      get: async () => keys,
      refresh: async () => keys,
    } as unknown as RemoteDocument<never>).verifies(token)
  }
  const algorithm = algorithms.find((name) => name === key.alg)
  // A shared key of a consumer has no such list: the vector is about the reader of a key set.
  if (key.key_ops && !key.key_ops.includes('verify')) return false
  if (algorithm === undefined || !isSecret(algorithm)) return false
  const secret = Buffer.from(key.k!, 'base64url').toString('base64')
  return verifierOf({ algorithm, secret, base64_secret: true })(token)
}

/** Vectors sign texts that are no claims: only what was signed and with what is taken from them. */
function tokenOf(jws: string): Token | undefined {
  const [header = '', payload = '', signature = '', ...more] = jws.split('.')
  const claims = Buffer.from('{}').toString('base64url')
  const read = readToken([header, claims, signature, ...more].join('.'))
  return read && (payload === '' || isBase64url(payload))
    ? { ...read, signed: `${header}.${payload}` }
    : undefined
}
