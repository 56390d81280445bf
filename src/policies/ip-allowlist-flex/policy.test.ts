import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import allow from './policy.ts'

const ips = ['203.0.113.7', '10.0.0.0/8', '192.168', '172.16.5.', '2001:db8::/32']

suite('lists of addresses', () => {
  for (const [address, isListed] of [
    ['203.0.113.7', true],
    ['203.0.113.8', false],
    ['10.1.2.3', true],
    ['192.168.255.1', true],
    ['192.169.0.1', false],
    ['172.16.5.9', true],
    ['172.16.50.9', false],
    ['2001:db8::1', true],
    ['2001:db9::1', false],
  ] as const) {
    test(`${address} is ${isListed ? '' : 'not '}on the list`, async () => {
      const allowed = await bindPolicy(allow, { config: { ips } }).run({ address })
      assert.equal(allowed.answer.status, isListed ? 200 : 403)
      if (isListed) return
      assert.equal(allowed.upstream, undefined)
      assert.equal(allowed.answer.body, '{"error":"The client address is not allowed"}')
    })
  }

  test('what a client says of itself is not believed by default', async () => {
    const headers = { 'x-forwarded-for': '10.0.0.1' }
    const { answer } = await bindPolicy(allow, { config: { ips } }).run({ address: '198.51.100.1', headers })
    assert.equal(answer.status, 403)
  })

  test('an expression of one’s own is taken at its word, and the client’s address where it has none', async () => {
    const { run } = bindPolicy(allow, { config: { ips, ipExpression: "#[attributes.headers['x-at']]" } })
    const status = async (at: string | undefined, address: string) =>
      (await run({ address, headers: at === undefined ? {} : { 'x-at': at } })).answer.status
    assert.equal(await status('10.0.0.1, 198.51.100.1', '198.51.100.1'), 200)
    assert.equal(await status('198.51.100.1', '10.0.0.1'), 403)
    assert.equal(await status(undefined, '10.0.0.1'), 200)
    assert.equal(await status('no address', '198.51.100.1'), 403)
  })

  test('what they do not take', () => {
    for (const config of [
      {},
      { ips: [] },
      { ips: ['nowhere'] },
      { ips: ['10.0.0.0/33'] },
      { ips: ['300'] },
      { ips, ipExpression: '#[nobody]' },
      { ips, ipExpression: '#[payload.ip]' },
      { ips, other: 1 },
    ]) {
      assert.throws(() => bindPolicy(allow, { config: config as never }), JSON.stringify(config))
    }
  })
})
