/** A limit that nodes share through a gateway whose Redis is watched by a sentinel, before and after its master dies. */
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answered, policyGateway } from '../harness/policy-gateway.ts'
import { startWatched, withoutRedis } from '../harness/redis-server.ts'

const redis = withoutRedis === false ? await startWatched() : undefined
after(() => redis?.stop())

suite('limit-count with a sentinel', { skip: withoutRedis }, () => {
  const gateway = policyGateway(
    () => `
routes:
  - id: r
    uri: /r
    upstream_id: u
    plugins:
      limit-count:
        { count: 3, time_window: 3600, rejected_code: 429, policy: redis-sentinel, redis_master_name: main, redis_sentinels: [{ host: 127.0.0.1, port: ${redis?.sentinel.port ?? 1} }] }
`,
  )
  const remaining = ({ headers }: Answered) => headers.get('x-ratelimit-remaining')

  /** While Redis does not answer, nobody passes; the test runner's own timeout bounds the wait. */
  async function answered(): Promise<Answered> {
    for (;;) {
      const answer = await gateway.send('/r')
      if (answer.status !== 500) return answer
      assert.equal(answer.seen, undefined)
      await sleep(20)
    }
  }

  test('the new master goes on with what the old one counted', async () => {
    const first = await answered()
    assert.deepEqual([first.status, remaining(first)], [200, '2'])
    while (((await redis!.replica.command('KEYS', '*')) as string[]).length === 0) await sleep(10)
    await redis!.master.kill()
    const second = await answered()
    assert.deepEqual([second.status, remaining(second)], [200, '1'])
    assert.deepEqual([(await answered()).status, (await answered()).status], [200, 429])
  })
})
