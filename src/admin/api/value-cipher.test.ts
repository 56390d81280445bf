import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ValueCipher } from './value-cipher.ts'

const ring = (...keys: string[]) => new ValueCipher({ keys, encrypt: true })
const [key, other] = ['a-key-for-this-test', 'another-key-for-it']

test('a value comes back under its owner only, and is never sealed alike twice', () => {
  const cipher = ring(key)
  const sealed = cipher.seal('{"a":"é"}', 'routes/1')
  assert.match(sealed, /^aes256gcm:/)
  assert.notEqual(cipher.seal('{"a":"é"}', 'routes/1'), sealed)
  assert.deepEqual(cipher.open(sealed, 'routes/1'), { value: '{"a":"é"}', isCurrent: true })
  assert.throws(() => cipher.open(sealed, 'routes/2'), /opens routes\/2, or it was tampered with/)
})

test('one that was changed or cut is refused', () => {
  const cipher = ring(key)
  const bytes = Buffer.from(cipher.seal('{}', 'o').slice('aes256gcm:'.length), 'base64')
  for (let index = 0; index < bytes.length; index++) {
    const changed = Buffer.from(bytes)
    changed[index]! ^= 1
    assert.throws(() => cipher.open(`aes256gcm:${changed.toString('base64')}`, 'o'), /tampered/)
  }
  for (const length of [0, 27, bytes.length - 1]) {
    assert.throws(() => cipher.open(`aes256gcm:${bytes.toString('base64', 0, length)}`, 'o'), /tampered/)
  }
})

test('the first key seals, every key opens, and what an older one sealed is not current', () => {
  const sealed = ring(key).seal('{}', 'o')
  assert.deepEqual(ring(other, key).open(sealed, 'o'), { value: '{}', isCurrent: false })
  assert.throws(() => ring(other).open(sealed, 'o'))
  assert.throws(() => ring().open(sealed, 'o'), /there is no key for them/)
  const off = new ValueCipher({ keys: [key], encrypt: false })
  assert.equal(off.seal('{}', 'o'), '{}')
  assert.deepEqual(off.open(sealed, 'o'), { value: '{}', isCurrent: false })
  assert.deepEqual([ring(key).open('{}', 'o').isCurrent, ring().open('{}', 'o').isCurrent], [false, true])
})
