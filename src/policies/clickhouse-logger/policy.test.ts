import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('a batch is one INSERT', async (t) => {
  const { url, requests } = await logServer(t)
  const config = { user: 'default', password: 'p', database: 'd', logtable: 'logs', batch_max_size: 2 }
  const bound = bindPolicy(policy, { config: { ...config, endpoint_addr: `${url}/?x=1` } })
  await bound.run()
  await bound.run()
  const { target, headers, body } = await requests.next()
  assert.equal(target, '/?x=1')
  assert.deepEqual(
    ['user', 'key', 'database'].map((name) => headers[`x-clickhouse-${name}`]),
    ['default', 'p', 'd'],
  )
  assert.match(body, /^INSERT INTO logs FORMAT JSONEachRow \{.*\} \{.*\}$/)
})

for (const config of [
  {},
  { endpoint_addr: 'nowhere' },
  { endpoint_addr: 'http://a', endpoint_addrs: ['http://a'] },
  { endpoint_addrs: [] },
  { endpoint_addr: 'http://a', timeout: 0 },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /\w/)
  })
}
