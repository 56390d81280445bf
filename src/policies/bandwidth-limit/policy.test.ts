import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BodyFilter } from '../kit/index.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { rate: 1000, burst: 500 }
const piece = Buffer.alloc(600)

test('the burst goes at once, and the rest at the rate', async () => {
  const bound = bindPolicy(policy, { config })
  const filterOf = (address: string) =>
    bound.handlers.respond?.(bound.begin({ address }).exchange) as BodyFilter
  const one = filterOf('192.0.2.1')
  assert.equal(one.write(piece), piece)
  const second = one.write(piece)
  assert.ok(second instanceof Promise, '600 bytes are in the bucket, 500 may be')
  assert.equal(filterOf('192.0.2.2').write(piece), piece, 'another client has a bucket of its own')
  let passed = false
  second.then(() => {
    passed = true
  })
  bound.advance(99)
  await Promise.resolve()
  assert.equal(passed, false)
  bound.advance(1)
  assert.equal(await second, piece)
})

test('the whole answer arrives', async () => {
  const { answer } = await bindPolicy(policy, { config }).run({}, { body: 'whole' })
  assert.equal(answer.body, 'whole')
})

test('an answer whose client goes away waits no longer', async () => {
  const bound = bindPolicy(policy, { config })
  const begun = bound.begin()
  const filter = bound.handlers.respond?.(begun.exchange) as BodyFilter
  filter.write(piece)
  const pending = filter.write(piece)
  begun.end('client_abort')
  assert.equal(await pending, piece)
})

test('a wrong value of each field is a finding', () => {
  for (const [field, value] of Object.entries({ rate: 0, burst: -1, key: 1, key_type: 'header' }))
    assert.throws(
      () => bindPolicy(policy, { config: { ...config, [field]: value } as never }),
      new RegExp(field),
    )
})
