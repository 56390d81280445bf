import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyHash } from './key-hash.ts'

function hashOf(key: string, k0 = 0x03020100, k1 = 0x07060504): string {
  const hash = new KeyHash(k0, k1)
  hash.update(key)
  return `${hash.high >>> 0}/${hash.low >>> 0}`
}

test('keys that differ in one unit, in length or in order have different hashes', () => {
  const keys = [
    '',
    '\0',
    '\0\0',
    '\0\0\0',
    'a',
    'b',
    'ab',
    'ba',
    'abc',
    'acb',
    'abcd',
    'é',
    'ĩ',
    '日本',
    '本日',
  ]
  for (let i = 0; i < 20_000; i++) keys.push(`client-${i}`)
  assert.equal(new Set(keys.map((key) => hashOf(key))).size, keys.length)
})

test('the seed decides the hash', () => {
  assert.notEqual(hashOf('jack', 1, 2), hashOf('jack', 1, 3))
  assert.notEqual(hashOf('jack', 1, 2), hashOf('jack', 2, 2))
})

test('both halves spread keys evenly', () => {
  const buckets = { low: new Uint32Array(64), high: new Uint32Array(64) }
  const hash = new KeyHash(11, 13)
  for (let i = 0; i < 64_000; i++) {
    hash.update(`10.0.${i >> 8}.${i & 255}`)
    buckets.low[hash.low & 63]!++
    buckets.high[hash.high & 63]!++
  }
  // 1000 expected in each; six standard deviations are about 190.
  for (const half of Object.values(buckets)) for (const count of half) assert.ok(Math.abs(count - 1000) < 190)
})
