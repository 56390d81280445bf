import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { UpstreamSpec } from '../../config/plan.ts'
import type { Exchange } from '../exchange.ts'
import { compileHashKey } from './hash-key.ts'

const fields: Record<string, string> = { 'x-session': 'abc', cookie: 'theme=dark; sid=42', 'x-empty': '' }

function keyOf(on: UpstreamSpec['hash']['on'], key: string, consumer: string | null = 'jack'): string {
  const exchange = {
    request: {
      path: '/a',
      query: 'device=7&none=',
      host: 'foo.com',
      headers: { get: (name: string) => fields[name], getAll: (name: string) => fields[name] },
    },
    client: { address: '203.0.113.7' },
    consumer: consumer === null ? null : { username: consumer },
  }
  return compileHashKey({ on, key })(exchange as unknown as Exchange)
}

suite('the key of a consistent hash', () => {
  test('is what hash_on and key name', () => {
    assert.equal(keyOf('vars', 'uri'), '/a')
    assert.equal(keyOf('vars', 'query_string'), 'device=7&none=')
    assert.equal(keyOf('vars', 'arg_device'), '7')
    assert.equal(keyOf('header', 'X-Session'), 'abc')
    assert.equal(keyOf('cookie', 'sid'), '42')
    assert.equal(keyOf('consumer', ''), 'jack')
    assert.equal(keyOf('vars_combinations', '$host-$arg_device'), 'foo.com-7')
    assert.equal(keyOf('vars_combinations', '$host-$arg_missing'), 'foo.com-')
  })

  test('is the address of the client where the request has no value, or an empty one', () => {
    const without: [UpstreamSpec['hash']['on'], string][] = [
      ['vars', 'arg_missing'],
      ['vars', 'arg_none'],
      ['header', 'x-missing'],
      ['header', 'x-empty'],
      ['cookie', 'missing'],
      ['vars_combinations', '$arg_missing-$http_x_missing'],
      ['vars_combinations', 'no variable'],
    ]
    for (const [on, key] of without) assert.equal(keyOf(on, key), '203.0.113.7', `${on} ${key}`)
    assert.equal(keyOf('consumer', '', null), '203.0.113.7')
  })

  test('has a byte for each character, also of the template', () => {
    assert.equal(keyOf('vars_combinations', 'é$host'), '\xc3\xa9foo.com')
  })
})
