/** What holds for both policies that run functions in a phase. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AnyPolicy } from '../policy.ts'
import { bindPolicy, runPolicy } from '../testing.ts'
import type { RequestFunction, ResponseFunction } from './own-function.ts'

const functions = {
  pass: (() => {}) satisfies RequestFunction,
  later: (async () => ({ status: 401, body: 'later' })) satisfies RequestFunction,
  field: ((exchange) => exchange.answer.set('X-Phase', 'header_filter')) satisfies ResponseFunction,
}

/** @param priority where it runs in a phase of requests; in those of answers it is the other way round */
export function testServerless(policy: AnyPolicy, priority: number): void {
  const bind = (config: object) => bindPolicy(policy as never, { config, functions })
  const run = (config: object) => runPolicy(policy as never, { config, functions })

  test('has its place in the pass that its phase belongs to, answers in reverse', () => {
    const placed = (phase?: string) => policy.placement?.({ functions: ['pass'], ...(phase && { phase }) })
    assert.deepEqual(placed(), { stage: 'limit', priority })
    assert.deepEqual(placed('rewrite'), { stage: 'transform', priority })
    assert.equal(placed('header_filter')?.priority, -priority)
    assert.equal(placed('body_filter')?.priority, -priority)
    assert.equal(placed('log')?.priority, priority)
  })

  test('the phase is access unless the configuration says otherwise', async () => {
    const { answer } = await run({ functions: ['pass', 'later'] })
    assert.deepEqual([answer.status, answer.body], [401, 'later'])
  })

  test('a function of an answer has no part in the request', async () => {
    const { verdict, answer } = await run({ phase: 'header_filter', functions: ['field'] })
    assert.equal(verdict, undefined)
    assert.equal(answer.headers['x-phase'], 'header_filter')
  })

  test('what does not fit is refused', () => {
    assert.throws(() => bind({ functions: [] }), /functions: must/)
    assert.throws(() => bind({}), /functions/)
    assert.throws(() => bind({ functions: [1] }), /functions/)
    assert.throws(() => bind({ phase: 'abc', functions: ['pass'] }), /phase/)
  })
}
