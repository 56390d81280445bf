import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { headers: { 'X-Department': '$department', 'X-Company': '$company' } }

test('labels of the consumer become fields, and what the client says of them goes', async () => {
  const { run } = bindPolicy(policy, { config })
  const { upstream } = await run({
    consumer: 'jack',
    labels: { company: 'Käse AG' },
    headers: [
      ['x-department', 'boss'],
      ['X-Company', 'other'],
      ['x-company', 'another'],
    ],
  })
  assert.equal(upstream?.headers['x-department'], undefined)
  assert.equal(upstream?.headers['x-company'], Buffer.from('Käse AG').toString('latin1'))
})

test('without a consumer nobody poses as having labels', async () => {
  const { upstream } = await bindPolicy(policy, { config }).run({ headers: { 'X-Department': 'boss' } })
  assert.deepEqual(upstream?.headers, {})
})

test('what objects inherit is no label', async () => {
  const inherited = { headers: { 'X-A': '$constructor' } }
  const { upstream } = await bindPolicy(policy, { config: inherited }).run({
    consumer: 'jack',
    labels: { a: 'b' },
  })
  assert.equal(upstream?.headers['x-a'], undefined)
})

suite('the configuration', () => {
  for (const wrong of [
    {},
    { headers: {} },
    { headers: { 'X-A': 'a' } },
    { headers: { 'X A': '$a' } },
    { headers: { 'Content-Length': '$a' } },
    { headers: { 'X-A': 1 } },
    { headers: { 'X-A': '$a' }, labels: {} },
  ]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: wrong as object }))
    })
  }
})
