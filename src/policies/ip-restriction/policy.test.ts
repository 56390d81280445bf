import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const from = async (config: object, address: string) =>
  (await bindPolicy(policy, { config }).run({ address })).answer.status

test('a whitelist lets nobody else pass, a blacklist everybody else', async () => {
  const list = ['127.0.0.1', '10.0.0.0/8', '2001:db8::/32']
  for (const [address, isListed] of [
    ['127.0.0.1', true],
    ['127.0.0.2', false],
    ['10.255.1.2', true],
    ['11.0.0.1', false],
    ['2001:db8::1', true],
    ['2001:db9::1', false],
  ] as const) {
    assert.equal(await from({ whitelist: list }, address), isListed ? 200 : 403, address)
    assert.equal(await from({ blacklist: list }, address), isListed ? 403 : 200, address)
  }
})

test('status and message of a rejection', async () => {
  const { run } = bindPolicy(policy, {
    config: { blacklist: ['0.0.0.0/0'], response_code: 404, message: 'no' },
  })
  const { answer } = await run()
  assert.equal(answer.status, 404)
  assert.equal(answer.body, '{"message":"no"}\n')
})

test('exactly one list, of addresses', () => {
  for (const config of [
    {},
    { whitelist: ['1.2.3.4'], blacklist: ['1.2.3.4'] },
    { whitelist: ['1.2.3'] },
    { whitelist: [] },
  ]) {
    assert.throws(() => bindPolicy(policy, { config }), JSON.stringify(config))
  }
})
