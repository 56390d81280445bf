import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf, VerifiedTokens } from './verified-tokens.ts'

const token = (key: string) => ({ credential: {}, claim: 'key', key, times: {} })

test('keeps what is asked for, and no more than two generations', () => {
  const tokens = new VerifiedTokens(2)
  for (const name of ['a', 'b', 'c']) tokens.keep(digestOf(name), token(name))
  assert.equal(tokens.find(digestOf('a'))?.key, 'a')
  for (let i = 0; i < 100; i++) {
    tokens.keep(digestOf(`other ${i}`), token('other'))
    assert.equal(tokens.find(digestOf('a'))?.key, 'a', 'it was asked for meanwhile')
    assert.ok(tokens.size <= 4)
  }
  assert.equal(tokens.find(digestOf('b')), undefined)
})

test('a digest is of all bytes', () => {
  assert.notEqual(digestOf('a.b.c'), digestOf('a.b.d'))
  assert.equal(digestOf('a.b.c').length, 32)
})
