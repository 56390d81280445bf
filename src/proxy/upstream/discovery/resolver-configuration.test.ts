import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { candidatesOf, readResolverConfiguration } from './resolver-configuration.ts'

suite('resolv.conf', () => {
  test('servers, search list and ndots', () => {
    const text =
      '# made by a platform\nnameserver 10.96.0.10\nnameserver fe80::1%eth0 ; second\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1\n'
    assert.deepEqual(readResolverConfiguration(text), {
      servers: ['10.96.0.10', 'fe80::1'],
      search: ['default.svc.cluster.local', 'svc.cluster.local'],
      ndots: 5,
    })
  })

  test('an empty file means nothing', () => {
    assert.deepEqual(readResolverConfiguration(''), { servers: [], search: [], ndots: 1 })
  })

  test('the last search or domain counts', () => {
    assert.deepEqual(readResolverConfiguration('domain a.test\nsearch b.test c.test').search, [
      'b.test',
      'c.test',
    ])
  })
})

suite('names that are tried', () => {
  const configuration = { servers: [], search: ['a.test', 'b.test'], ndots: 2 }

  test('a name with few dots is completed first', () => {
    assert.deepEqual(candidatesOf('web.prod', configuration), [
      'web.prod.a.test',
      'web.prod.b.test',
      'web.prod',
    ])
  })

  test('a name with enough dots is tried as it is first', () => {
    assert.deepEqual(candidatesOf('web.prod.x', configuration)[0], 'web.prod.x')
  })

  test('a name with a final dot is complete', () => {
    assert.deepEqual(candidatesOf('web.', configuration), ['web.'])
  })
})
