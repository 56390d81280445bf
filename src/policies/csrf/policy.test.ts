import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { key: 'userkey' }
const name = 'apisix-csrf-token'
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')

/** As APISIX signs it. */
function token(random: string, expires: string, key = 'userkey'): string {
  const sign = createHash('sha256').update(`{expires:${expires},random:${random},key:${key}}`).digest('hex')
  return encode({ random: Number(random), expires: Number(expires), sign })
}

async function post(given: string, cookie = given, settings: object = {}) {
  const variables = cookie === '' ? {} : { [`cookie_${name}`]: cookie }
  const bound = bindPolicy(policy, { config: { ...config, ...settings }, variables })
  const { answer } = await bound.run({ method: 'POST', headers: given === '' ? {} : { [name]: given } })
  return answer.status === 200 ? 'passed' : (JSON.parse(answer.body) as { error_msg: string }).error_msg
}

const now = Date.UTC(2026, 0, 1) / 1000

test('every answer brings a token, and a request with it in both places passes', async () => {
  const { answer } = await bindPolicy(policy, { config }).run()
  const [, value = '', rest] = /^apisix-csrf-token=([^;]+);(.*)$/.exec(answer.headers['set-cookie']!)!
  assert.equal(rest, 'path=/;SameSite=Lax;Expires=Thu, 01-Jan-26 02:00:00 GMT')
  assert.equal(await post(value), 'passed')
})

test('tokens of APISIX are good too', async () => {
  assert.equal(await post(token('0.16098306018449', String(now))), 'passed')
  assert.equal(await post(token('5e-05', String(now))), 'passed')
  assert.equal(await post(token('1.5e+20', String(now))), 'passed')
})

test('methods that change nothing need none', async () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    assert.equal((await bindPolicy(policy, { config }).run({ method })).answer.status, 200)
  }
})

suite('refused', () => {
  const good = token('0.5', String(now))
  const invalid = 'Failed to verify the csrf token signature'
  test('without the field, without the cookie, or with two', async () => {
    assert.equal(await post('', good), 'no csrf token in headers')
    assert.equal(await post(good, ''), 'no csrf cookie')
    assert.equal(await post(good, token('0.6', String(now))), 'csrf token mismatch')
  })
  for (const [what, text] of [
    ['another key', token('0.5', String(now), 'other')],
    ['too old', token('0.5', String(now - 7201))],
    ['no base64', '***'],
    ['no JSON', 'AAAA'],
    ['no object', encode(null)],
    ['a list', encode([1])],
    ['no signature', encode({ random: 1, expires: now })],
    ['a number that is a text', encode({ random: `1,random:2`, expires: now, sign: 'x' })],
    ['a time that is too large', Buffer.from(`{"random":1,"expires":1e999,"sign":"x"}`).toString('base64')],
  ] as [string, string][]) {
    test(what, async () => assert.equal(await post(text), invalid))
  }
})

test('without a lifetime a token stays good', async () => {
  assert.equal(await post(token('0.5', '1'), undefined, { expires: 0 }), 'passed')
})

suite('the configuration', () => {
  for (const wrong of [{ key: 1 }, { key: undefined }, { expires: 'x' }, { name: 'a b' }, { secret: 'x' }]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: { ...config, ...wrong } as never }), /config/)
    })
  }
})
