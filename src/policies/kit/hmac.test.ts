import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { Hmac, type HmacHash } from './hmac.ts'

const algorithms: readonly HmacHash[] = ['sha1', 'sha256', 'sha384', 'sha512']

suite('the same as that of the platform', () => {
  for (const algorithm of algorithms) {
    test(algorithm, () => {
      // Below, at and above the size of a block, which is where keys are hashed first.
      for (const keySize of [0, 1, 20, 63, 64, 65, 127, 128, 129, 1000]) {
        const key = randomBytes(keySize)
        const hmac = new Hmac(algorithm, key)
        for (const textSize of [0, 1, 55, 56, 64, 111, 112, 1000, 70_000]) {
          const text = randomBytes(textSize).toString('latin1')
          const code = createHmac(algorithm, key).update(text, 'latin1').digest()
          assert.equal(hmac.verify(text, code), true)
          assert.equal(hmac.verify(`${text}x`, code), false)
          code[code.length - 1]! ^= 1
          assert.equal(hmac.verify(text, code), false)
          assert.equal(hmac.verify(text, code.subarray(1)), false)
        }
      }
    })
  }
})

test('the second case of RFC 4231', () => {
  const code = Buffer.from('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843', 'hex')
  assert.ok(new Hmac('sha256', Buffer.from('Jefe')).verify('what do ya want for nothing?', code))
})

test('a key that is changed afterwards changes nothing, and one text nothing of the next', () => {
  const key = Buffer.from('key')
  const hmac = new Hmac('sha256', key)
  const code = createHmac('sha256', key).update('a').digest()
  key.fill(0)
  assert.equal(hmac.verify('something longer', code), false)
  assert.equal(hmac.verify('a', code), true)
})
