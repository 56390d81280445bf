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

const folder = process.env.WYCHEPROOF ?? ''

if (folder !== '') test('signatures: what Wycheproof calls invalid is refused', judge)

async function judge(context: TestContext): Promise<void> {
  const path = join(folder, 'testvectors_v1/json_web_signature_test.json')
  const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: Group[] }
  const accepted: string[] = []
  const refused: string[] = []
  let good = 0
  for (const group of testGroups) {
    for (const { tcId, comment, jws, result } of group.tests) {
      const isGood = await verifies(group, jws)
      if (isGood && result === 'invalid' && !lostTheirFault.has(tcId)) accepted.push(`${tcId} ${comment}`)
      if (!isGood && result === 'valid')
        refused.push(`${tcId} ${comment} (${(group.public ?? group.private)?.alg})`)
      if (isGood && result === 'valid') good++
    }
  }
  context.diagnostic(`valid and verified: ${good}; valid and refused: ${refused.join('; ') || 'none'}`)
  assert.deepEqual(accepted, [])
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
