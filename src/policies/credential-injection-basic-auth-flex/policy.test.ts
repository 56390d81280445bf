import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const pair = { username: 'ä', password: 'b:c' }
const injected = `Basic ${Buffer.from('ä:b:c').toString('base64')}`
const sent = async (config: object, headers = {}) => {
  const { upstream } = await bindPolicy(policy, { config: { ...pair, ...config } }).run({ headers })
  return upstream?.headers
}

test('the upstream gets the credentials, in place of those of the client', async () => {
  assert.equal((await sent({}))?.authorization, injected)
  assert.equal((await sent({}, { authorization: 'Bearer of-the-client' }))?.authorization, injected)
})

test('those of the client can stay, and the field can be another', async () => {
  const own = { authorization: 'Bearer of-the-client' }
  assert.equal((await sent({ overwrite: false }, own))?.authorization, own.authorization)
  assert.equal((await sent({ overwrite: false }))?.authorization, injected)
  const headers = await sent({ customHeader: 'X-Service-Auth' }, own)
  assert.deepEqual([headers?.['x-service-auth'], headers?.authorization], [injected, own.authorization])
})

test('what it does not take', () => {
  for (const [config, finding] of [
    [{ username: 'a:b' }, /username/],
    [{ username: '' }, /username/],
    [{ password: 1 }, /password/],
    [{ overwrite: 'no' }, /overwrite/],
    [{ customHeader: 'Host' }, /customHeader: /],
    [{ customHeader: 'a b' }, /customHeader: /],
    [{ other: 1 }, /other/],
  ] as const) {
    assert.throws(() => bindPolicy(policy, { config: { ...pair, ...config } as never }), finding)
  }
})
