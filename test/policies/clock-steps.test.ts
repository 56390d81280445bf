/** A wall clock that somebody sets, forward and back, while requests are counted, delayed, cached and identified. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'
import { RedisServer, withoutRedis } from '../harness/redis-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-clock-'))
const offset = join(folder, 'offset')
const hour = 3_600_000
/** Hours by which the clock is wrong, one after another. */
const steps = [0, 1, -1, 24 * 365, 0, -24 * 365, 0]
const set = (hours: number) => writeFileSync(offset, String(hours * hour))
set(0)

let redis: RedisServer | undefined
after(async () => {
  await redis?.stop()
  rmSync(folder, { recursive: true })
})

const { send } = policyGateway(
  async () => {
    if (withoutRedis === false) redis = await RedisServer.start()
    const store = `policy: redis, redis_host: 127.0.0.1, redis_port: ${redis?.port ?? 1}`
    const route = (name: string, plugins: string) =>
      `  - { id: ${name}, uri: /${name}, upstream_id: u, plugins: { ${plugins} } }\n`
    return `
consumers:
  - { username: jack, plugins: { jwt-auth: { key: k, secret: my-secret } } }
routes:
${route('window', 'limit-count: { count: 3, time_window: 600, rejected_code: 429, show_limit_quota_header: true }')}
${route('sliding', 'limit-count: { count: 3, time_window: 600, window_type: sliding, rejected_code: 429 }')}
${route('shared', `limit-count: { count: 3, time_window: 600, rejected_code: 429, ${store} }`)}
${route('bucket', 'limit-req: { rate: 0.001, burst: 0, key: remote_addr, rejected_code: 429 }')}
${route('broken', 'api-breaker: { break_response_code: 599, max_breaker_sec: 300, unhealthy: { http_statuses: [500], failures: 2 } }')}
${route('cached', 'proxy-cache: { cache_strategy: memory, cache_zone: memory_cache, cache_ttl: 600, cache_key: ["$uri"] }')}
${route('token', 'jwt-auth: {}')}
`
  },
  ({ target }, response) => {
    if (target === '/broken') response.statusCode = 500
    response.end(target === '/cached' ? 'kept' : 'ok')
    return true
  },
  {
    CLOCK_OFFSET: offset,
    NODE_OPTIONS: `--import ${new URL('../harness/stepping-clock.ts', import.meta.url).href}`,
  },
)

beforeEach(() => set(0))

suite('limits count what came, whatever the clock says', () => {
  const limited: readonly [name: string, most: number, skip: string | false][] = [
    ['window', 3, false],
    ['sliding', 3, false],
    ['shared', 3, withoutRedis],
    ['bucket', 1, false],
  ]
  for (const [name, most, skip] of limited) {
    test(name, { skip }, async () => {
      const statuses: number[] = []
      for (const hours of steps) {
        set(hours)
        const { status, headers } = await send(`/${name}`)
        statuses.push(status)
        for (const field of ['x-ratelimit-reset', 'retry-after']) {
          const seconds = headers.get(field)
          if (seconds !== null)
            assert.ok(Number(seconds) >= 0 && Number(seconds) <= 1000, `${field}: ${seconds}`)
        }
      }
      assert.deepEqual(statuses, [
        ...Array.from({ length: most }, () => 200),
        ...Array.from({ length: steps.length - most }, () => 429),
      ])
    })
  }
})

test('a circuit that is broken stays so for its time', async () => {
  const statuses: number[] = []
  for (const hours of steps.filter((step) => step >= -1 && step <= 1)) {
    set(hours)
    statuses.push((await send('/broken')).status)
  }
  assert.deepEqual(statuses, [500, 500, 599, 599, 599])
})

test('an answer that was stored when the clock was another is asked for again, not taken for fresh', async () => {
  const seen: (string | null)[] = []
  for (const hours of steps) {
    set(hours)
    for (let time = 0; time < 2; time++) {
      const { status, text, headers } = await send('/cached')
      assert.deepEqual([status, text], [200, 'kept'])
      seen.push(headers.get('apisix-cache-status'))
    }
  }
  assert.deepEqual(seen, ['MISS', 'HIT', ...steps.slice(1).flatMap(() => ['EXPIRED', 'HIT'])])
})

test('the times of a token are those of the clock, also of one that was good a moment ago', async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 1800
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ key: 'k', exp })}`
  const token = `${signed}.${createHmac('sha256', 'my-secret').update(signed).digest('base64url')}`
  const statuses: number[] = []
  for (const hours of [0, 0, 1, 0, -1]) {
    set(hours)
    statuses.push((await send('/token', { headers: { authorization: `Bearer ${token}` } })).status)
  }
  assert.deepEqual(statuses, [200, 200, 401, 200, 200])
})
