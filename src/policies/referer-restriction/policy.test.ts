import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const statusFor = async (config: object, referer?: string) => {
  const headers: Record<string, string> = referer === undefined ? {} : { referer }
  return (await bindPolicy(policy, { config }).run({ headers })).answer.status
}

const whitelist = ['xx.com', '*.yy.com', '[::1]']

test('the host of the referer decides', async () => {
  for (const referer of [
    'http://xx.com/a?b',
    'https://XX.com:8080',
    '//xx.com/',
    'http://a.yy.com',
    'http://user@xx.com/',
    'http://[::1]:80/x',
  ]) {
    assert.equal(await statusFor({ whitelist }, referer), 200, referer)
    assert.equal(await statusFor({ blacklist: whitelist }, referer), 403, referer)
  }
})

test('nobody gets past the list with a URL that reads in two ways', async () => {
  for (const referer of [
    'http://evil.com#.yy.com',
    'http://evil.com?.yy.com',
    'http://evil.com/.yy.com',
    'http://xx.com@evil.com',
    'http://evil.com\\.yy.com',
    'http://xx.com.evil.com',
    'http://yy.com',
    'xx.com',
    'ftp://xx.com',
    'http://',
    '',
  ]) {
    assert.equal(await statusFor({ whitelist }, referer), 403, referer)
  }
})

test('without a referer the request is rejected, unless it may be missing', async () => {
  const { answer } = await bindPolicy(policy, { config: { whitelist } }).run()
  assert.deepEqual([answer.status, answer.body], [403, '{"message":"Your referer host is not allowed"}\n'])
  assert.equal(await statusFor({ whitelist, bypass_missing: true }), 200)
  assert.equal(await statusFor({ whitelist, bypass_missing: true }, 'no URL'), 200)
  assert.equal(await statusFor({ blacklist: ['a.com'] }), 403)
})

suite('the configuration', () => {
  for (const config of [
    {},
    { whitelist: ['a.com'], blacklist: ['b.com'] },
    { whitelist: [] },
    { whitelist: ['a b'] },
    { whitelist: ['a.*'] },
    { blacklist: [1] },
    { whitelist: ['a.com'], bypass_missing: 'yes' },
    { whitelist: ['a.com'], message: '' },
    { whitelist: ['a.com'], hosts: [] },
  ]) {
    test(`${JSON.stringify(config)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: config as object }), /config/)
    })
  }
})
