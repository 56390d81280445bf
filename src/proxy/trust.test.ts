import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TrustedAddresses } from './trust.ts'

const trusted = new TrustedAddresses(['127.0.0.1', '10.0.0.0/8', 'fd00::/8'])

test('addresses and blocks of both families', () => {
  for (const address of ['127.0.0.1', '10.1.2.3', 'fd00::1'])
    assert.equal(trusted.includes(address), true, address)
  for (const address of ['127.0.0.2', '11.0.0.1', 'fe80::1', '', 'nonsense']) {
    assert.equal(trusted.includes(address), false, address)
  }
})

test('nobody is trusted by default', () => {
  assert.equal(new TrustedAddresses([]).includes('127.0.0.1'), false)
})

const chains: [forwardedFor: string | undefined, client: string][] = [
  [undefined, '127.0.0.1'],
  ['203.0.113.9', '203.0.113.9'],
  ['6.6.6.6, 203.0.113.9', '203.0.113.9'],
  ['203.0.113.9, 10.0.0.1', '203.0.113.9'],
  ['10.0.0.2, 10.0.0.1', '10.0.0.2'],
  ['6.6.6.6, junk, 10.0.0.1', '10.0.0.1'],
  ['', '127.0.0.1'],
]
for (const [forwardedFor, client] of chains) {
  test(`X-Forwarded-For ${JSON.stringify(forwardedFor)} behind a trusted peer means ${client}`, () => {
    assert.equal(trusted.clientBehind('127.0.0.1', forwardedFor), client)
  })
}
