import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { AnswerReader } from '../kit/ai/answer.ts'
import { type ModelCall, setModelCall } from '../kit/ai/index.ts'
import { type CounterStore, StoreAbsentError } from '../kit/limits/counter-store.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /'limit' and 'time_window' are needed, or 'instances'/],
    [{ limit: 1 }, /belong together/],
    [{ limit: 0, time_window: 1 }, /limit/],
    [{ limit: 1, time_window: 0 }, /time_window/],
    [{ instances: [] }, /instances/],
    [{ instances: [{ name: 'a', limit: 1 }] }, /time_window/],
    [{ limit: 'many', time_window: 1 }, /'limit' must be a whole number/],
    [{ limit: 1, time_window: 1, rules: [] }, /'rules' exclude/],
    [{ rules: [{ count: 1, time_window: 1 }] }, /key/],
    [{ limit: 1, time_window: 1, limit_strategy: 'most' }, /limit_strategy/],
    [{ limit: 1, time_window: 1, limit_strategy: 'expression' }, /cost_expr is required/],
    [
      { limit: 1, time_window: 1, limit_strategy: 'expression', cost_expr: 'os.exit()' },
      /invalid cost_expr: it calls os\.exit/,
    ],
    [{ limit: 1, time_window: 1, rejected_code: 199 }, /rejected_code/],
    [{ limit: 1, time_window: 1, policy: 'redis' }, /redis_host/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})

test('a request that goes to no language model is not counted', async () => {
  const bound = bindPolicy(policy, { config: { limit: 1, time_window: 60 } })
  for (let i = 0; i < 3; i++) assert.equal((await bound.run()).verdict, undefined)
})

suite('counters in Redis', () => {
  const redis = { limit: 10, time_window: 60, policy: 'redis', redis_host: '127.0.0.1' } as const

  /** A request that goes to a model and costs so many tokens. */
  async function run(
    { begin, handlers }: Pick<ReturnType<typeof bindPolicy>, 'begin' | 'handlers'>,
    tokens: number,
  ) {
    const answer = new AnswerReader('openai-chat', 'application/json', false)
    answer.readBody({ usage: { prompt_tokens: tokens, completion_tokens: 0, total_tokens: tokens } })
    const call = { instances: ['a'], answer, attempts: [{}] } as unknown as ModelCall
    const { exchange } = begin({})
    setModelCall(exchange, call)
    const verdict = (await handlers.request!(exchange)) ?? undefined
    if (verdict === undefined) handlers.observe!(exchange)
    await new Promise(setImmediate)
    return verdict
  }

  test('are told of the cost, and asked before each request', async () => {
    const bound = bindPolicy(policy, { config: redis })
    assert.equal(await run(bound, 25), undefined)
    assert.equal((await run(bound, 1))?.status, 503)
  })

  test('that are away close, open, or are stood in for', async () => {
    const counterStore = {
      acquire: () => Promise.reject(new StoreAbsentError('away')),
    } as unknown as CounterStore
    const closed = bindPolicy(policy, { config: redis, counterStore })
    assert.equal((await run(closed, 25))?.status, 500)
    const open = bindPolicy(policy, { config: { ...redis, allow_degradation: true }, counterStore })
    for (let i = 0; i < 3; i++) assert.equal(await run(open, 25), undefined)
    const local = bindPolicy(policy, { config: { ...redis, absent_store: 'local' }, counterStore })
    assert.equal(await run(local, 25), undefined)
    assert.equal((await run(local, 25))?.status, 503)
  })
})
