import assert from 'node:assert/strict'
import { BlockList, isIPv6 } from 'node:net'
import { suite, test } from 'node:test'
import { AddressSet } from './addresses.ts'

suite('a set of addresses', () => {
  test('holds single addresses and blocks of both families', () => {
    const set = new AddressSet([
      '192.168.1.7',
      '10.0.0.0/8',
      '::1',
      '[fe80::1]',
      '2001:db8::/33',
      '64:ff9b::192.0.2.1',
    ])
    for (const inside of [
      '192.168.1.7',
      '10.255.0.1',
      '::1',
      '0:0:0:0:0:0:0:1',
      '[::1]',
      'fe80::1',
      '2001:db8:7fff::',
      '64:ff9b::c000:201',
    ])
      assert.equal(set.has(inside), true, inside)
    for (const outside of [
      '192.168.1.8',
      '11.0.0.1',
      '::2',
      'fe80::2',
      '2001:db8:8000::',
      '',
      'localhost',
      '10.0.0',
      '10.0.0.256',
      '010.0.0.1',
      '10.0.0.1.1',
      '::ffff:10.0.0.1',
      '1.2.3.4:80',
      '[::1',
    ])
      assert.equal(set.has(outside), false, outside)
  })

  test('of every address holds those of its family', () => {
    assert.equal(new AddressSet(['0.0.0.0/0']).has('203.0.113.9'), true)
    assert.equal(new AddressSet(['0.0.0.0/0']).has('::1'), false)
    assert.equal(new AddressSet(['::/0']).has('2001:db8::1'), true)
    assert.equal(new AddressSet(['::/0']).has('1.1.1.1'), false)
    assert.equal(new AddressSet([]).has('1.1.1.1'), false)
  })

  test('takes no entry that is no address', () => {
    for (const entry of [
      '',
      'a',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'fe80::1%eth0',
      '[10.0.0.1]',
    ])
      assert.throws(() => new AddressSet([entry]), RangeError, entry)
  })

  test('agrees with the platform', () => {
    for (let prefix = 1; prefix <= 32; prefix++) {
      const [set, list] = [new AddressSet([`170.85.204.51/${prefix}`]), new BlockList()]
      list.addSubnet('170.85.204.51', prefix, 'ipv4')
      for (const address of [
        '170.85.204.51',
        '170.85.204.50',
        '170.85.205.0',
        '170.84.0.0',
        '171.0.0.0',
        '42.85.204.51',
      ])
        assert.equal(set.has(address), list.check(address, 'ipv4'), `${address} in /${prefix}`)
    }
    for (let prefix = 1; prefix <= 128; prefix++) {
      const [set, list] = [new AddressSet([`2001:db8:a5a5::5a:1/${prefix}`]), new BlockList()]
      list.addSubnet('2001:db8:a5a5::5a:1', prefix, 'ipv6')
      for (const address of [
        '2001:db8:a5a5::5a:1',
        '2001:db8:a5a5::5a:2',
        '2001:db8:a5a5:8000::',
        '2001:db8:a5a4::',
        'a001::',
        '::ffff:1.2.3.4',
      ]) {
        assert.ok(isIPv6(address))
        assert.equal(set.has(address), list.check(address, 'ipv6'), `${address} in /${prefix}`)
      }
    }
  })
})
