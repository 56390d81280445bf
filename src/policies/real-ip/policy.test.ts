import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

async function client(config: object, headers: [string, string][], address = '192.0.2.1') {
  const { run } = bindPolicy(policy, { config })
  const { exchange } = await run({ headers, address })
  return [exchange.client.address, exchange.client.port]
}

suite('a field with an address', () => {
  const kept = ['192.0.2.1', 50_000]
  const cases: [string, (string | number)[]][] = [
    ['1.1.1.1', ['1.1.1.1', 0]],
    ['1.1.1.1:80', ['1.1.1.1', 80]],
    ['::2', ['::2', 0]],
    ['[::2]', ['::2', 0]],
    ['[::2]:80', ['::2', 80]],
    ['1.1.1.1.1', kept],
    ['1.1.1.1:65536', kept],
    ['1.1.1.1:0', kept],
    ['[1.1.1.1]', kept],
    ['fe80::1%eth0', kept],
    ['example.com', kept],
    ['', kept],
  ]
  for (const [value, expected] of cases) {
    test(JSON.stringify(value), async () =>
      assert.deepEqual(await client({ source: 'http_xff' }, [['XFF', value]]), expected),
    )
  }
})

test('the last entry of X-Forwarded-For counts, over all its fields', async () => {
  const config = { source: 'http_x_forwarded_for' }
  assert.equal((await client(config, [['X-Forwarded-For', '::1, ::2']]))[0], '::2')
  const two: [string, string][] = [
    ['X-Forwarded-For', '::1'],
    ['X-Forwarded-For', '::3'],
  ]
  assert.equal((await client(config, two))[0], '::3')
  assert.equal((await client(config, []))[0], '192.0.2.1')
})

test('only peers that are trusted are believed', async () => {
  const config = { source: 'http_x_forwarded_for', trusted_addresses: ['192.0.2.0/24'] }
  assert.equal((await client(config, [['X-Forwarded-For', '1.1.1.1']]))[0], '1.1.1.1')
  assert.equal((await client(config, [['X-Forwarded-For', '1.1.1.1']], '203.0.113.1'))[0], '203.0.113.1')
})

test('recursive passes over trusted addresses, to the first where all are', async () => {
  const config = {
    source: 'http_x_forwarded_for',
    trusted_addresses: ['192.0.2.0/24', '10.0.0.0/8'],
    recursive: true,
  }
  const list = (value: string) => client(config, [['X-Forwarded-For', value]])
  assert.equal((await list('6.6.6.6, 1.1.1.1, 10.0.0.1'))[0], '1.1.1.1')
  assert.equal((await list('10.0.0.2, 10.0.0.1'))[0], '10.0.0.2')
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /source/],
    [{ source: '' }, /source/],
    [{ source: 'http_xff', trusted_addresses: [] }, /trusted_addresses/],
    [{ source: 'http_xff', trusted_addresses: ['127.0.0.1/33'] }, /trusted_addresses/],
    [{ source: 'http_xff', trusted_addresses: ['::1/129'] }, /invalid ip address: ::1\/129/],
    [{ source: 'http_xff', recursive: 1 }, /recursive/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config }), finding))
  }
})
