import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const ips = ['203.0.113.7', '10.0.0.0/8', '192.168']

test('who is on the list is kept out, and everybody else passes', async () => {
  const { run } = bindPolicy(policy, { config: { ips } })
  for (const address of ['203.0.113.7', '10.1.2.3', '192.168.1.1']) {
    const { answer, upstream } = await run({ address })
    assert.equal(upstream, undefined, address)
    assert.equal(answer.status, 403)
    assert.equal(answer.body, '{"error":"The client address is not allowed"}')
  }
  for (const address of ['203.0.113.8', '11.1.2.3', '2001:db8::1']) {
    assert.equal((await run({ address })).answer.status, 200, address)
  }
})

test('nobody gets off the list by what he says of himself', async () => {
  const { run } = bindPolicy(policy, { config: { ips } })
  const headers = { 'x-forwarded-for': '198.51.100.1' }
  assert.equal((await run({ address: '10.0.0.1', headers })).answer.status, 403)
})

test('what it does not take', () => {
  for (const config of [{}, { ips: ['nowhere'] }, { ips, ipExpression: '#[1 +]' }, { ips, other: 1 }]) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), JSON.stringify(config))
  }
})
