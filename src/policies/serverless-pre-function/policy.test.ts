import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestFunction, ResponseFunction } from '../kit/index.ts'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const functions = {
  pass: (() => {}) satisfies RequestFunction,
  later: (async () => ({ status: 401, body: 'later' })) satisfies RequestFunction,
  field: ((exchange) => exchange.answer.set('X-Phase', 'header_filter')) satisfies ResponseFunction,
}
const bind = (config: object) => bindPolicy(policy, { config, functions })

test('runs at the beginning of the pass that its phase belongs to, answers in reverse', () => {
  const placed = (phase?: string) =>
    policy.placement?.({ functions: ['pass'], ...(phase && { phase }) } as never)
  assert.deepEqual(placed(), { stage: 'limit', priority: 10_000 })
  assert.deepEqual(placed('rewrite'), { stage: 'transform', priority: 10_000 })
  assert.equal(placed('header_filter')?.priority, -10_000)
  assert.equal(placed('body_filter')?.priority, -10_000)
  assert.equal(placed('log')?.priority, 10_000)
})

test('the phase is access unless the configuration says otherwise', async () => {
  const run = await runPolicy(policy, { config: { functions: ['pass', 'later'] }, functions })
  assert.deepEqual([run.answer.status, run.answer.body], [401, 'later'])
})

test('a function of an answer has no part in the request', async () => {
  const run = await runPolicy(policy, { config: { phase: 'header_filter', functions: ['field'] }, functions })
  assert.equal(run.verdict, undefined)
  assert.equal(run.answer.headers['x-phase'], 'header_filter')
})

test('what does not fit is refused', () => {
  assert.throws(() => bind({ functions: [] }), /functions: must/)
  assert.throws(() => bind({}), /functions/)
  assert.throws(() => bind({ functions: [1] }), /functions/)
  assert.throws(() => bind({ phase: 'abc', functions: ['pass'] }), /phase/)
})
