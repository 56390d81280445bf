import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreAbsentError } from '../kit/limits/counter-store.ts'
import { bindPolicy, type Run } from '../kit/testing.ts'
import policy from './policy.ts'

const quota = ({ answer }: Run) => [
  answer.headers['x-ratelimit-limit'],
  answer.headers['x-ratelimit-remaining'],
  answer.headers['x-ratelimit-reset'],
]

test('counts down, then rejects with 503 until the window ends', async () => {
  const bound = bindPolicy(policy, { config: { count: 2, time_window: 60 } })
  assert.deepEqual(quota(await bound.run()), ['2', '1', '60'])
  bound.advance(1234)
  assert.deepEqual(quota(await bound.run()), ['2', '0', '58.76'])
  bound.advance(100)
  const rejected = await bound.run()
  assert.deepEqual(rejected.verdict, { status: 503 })
  assert.deepEqual(quota(rejected), ['2', '0', '58.66'])
  assert.equal(rejected.answer.headers['retry-after'], '59')
  bound.advance(58_700)
  assert.deepEqual(quota(await bound.run()), ['2', '1', '60'])
})

test('status and message of a rejection are configurable', async () => {
  const config = { count: 1, time_window: 1, rejected_code: 429, rejected_msg: 'slow down' }
  const bound = bindPolicy(policy, { config })
  await bound.run()
  const { answer } = await bound.run()
  assert.equal(answer.status, 429)
  assert.equal(answer.body, '{"error_msg":"slow down"}\n')
})

test('counts by client address, and by it when the key has no value', async () => {
  const bound = bindPolicy(policy, { config: { count: 1, time_window: 60, key: 'http_x_team' } })
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict?.status, 503)
  assert.equal((await bound.run({ address: '192.0.2.1', headers: { 'x-team': 'a' } })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2', headers: { 'x-team': 'a' } })).verdict?.status, 503)
})

test('a combination of variables counts each combination, a constant all requests', async () => {
  const combined = bindPolicy(policy, {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference in APISIX's notation
    config: { count: 1, time_window: 60, key_type: 'var_combination', key: '$remote_addr ${consumer_name}' },
  })
  assert.equal((await combined.run({ consumer: 'jack' })).verdict, undefined)
  assert.equal((await combined.run({ consumer: 'jill' })).verdict, undefined)
  assert.equal((await combined.run({ consumer: 'jack' })).verdict?.status, 503)

  const constant = bindPolicy(policy, {
    config: { count: 1, time_window: 60, key_type: 'constant', key: 'all' },
  })
  assert.equal((await constant.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await constant.run({ address: '192.0.2.2' })).verdict?.status, 503)
})

test('a combination without any value counts by client address', async () => {
  const config = { count: 1, time_window: 60, key_type: 'var_combination', key: 'x-$http_a-$http_b' } as const
  const bound = bindPolicy(policy, { config })
  assert.equal((await bound.run({ address: '192.0.2.1' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict, undefined)
  assert.equal((await bound.run({ address: '192.0.2.2' })).verdict?.status, 503)
})

test('names of the headers come from plugin_metadata, and they can be off', async () => {
  const config = { count: 1, time_window: 60 }
  const metadata = {
    limit_header: 'Quota',
    remaining_header: 'Quota-Left',
    reset_header: 'X-RateLimit-Reset',
  }
  const renamed = (await bindPolicy(policy, { config, metadata }).run()).answer.headers
  assert.deepEqual(renamed, { quota: '1', 'quota-left': '0', 'x-ratelimit-reset': '60' })
  const silent = bindPolicy(policy, { config: { ...config, show_limit_quota_header: false } })
  assert.deepEqual((await silent.run()).answer.headers, {})
  assert.deepEqual((await silent.run()).answer.headers, { 'retry-after': '60' })
})

test('count and window may come from variables; without a valid value the request fails closed', async () => {
  const config = { count: '$http_x_quota', time_window: '60' }
  const bound = bindPolicy(policy, { config })
  assert.deepEqual(quota(await bound.run({ headers: { 'x-quota': '5' } })), ['5', '4', '60'])
  for (const value of ['', '0', '-1', '1.5', 'many', '9999999999999999']) {
    assert.deepEqual((await bound.run({ headers: { 'x-quota': value } })).verdict, { status: 500 })
  }
  const lenient = bindPolicy(policy, { config: { ...config, allow_degradation: true } })
  assert.equal((await lenient.run()).verdict, undefined)
})

test('a sliding window counts the span before by what still overlaps', async () => {
  const bound = bindPolicy(policy, { config: { count: 2, time_window: 60, window_type: 'sliding' } })
  assert.deepEqual(quota(await bound.run()), ['2', '1', '60'])
  assert.deepEqual(quota(await bound.run()), ['2', '0', '60'])
  const full = await bound.run()
  assert.equal(full.verdict?.status, 503)
  assert.equal(full.answer.headers['retry-after'], '60')
  bound.advance(60_000)
  const early = await bound.run()
  assert.equal(early.verdict?.status, 503, 'all of the span before overlaps')
  bound.advance(30_000)
  assert.deepEqual(quota(await bound.run()), ['2', '0', '30'])
  assert.equal((await bound.run()).verdict?.status, 503)
})

test('rules count one after the other, with fields of their own', async () => {
  const rules = [
    { count: 1, time_window: 10, key: '$http_x_user', header_prefix: 'User' },
    { count: '$http_x_quota', time_window: 60, key: '$remote_addr$http_x_quota' },
    { count: 9, time_window: 60, key: '$http_x_absent' },
  ]
  const bound = bindPolicy(policy, { config: { rules, rejected_code: 429 } })
  const headers = { 'x-user': 'a', 'x-quota': '5' }
  const first = await bound.run({ headers })
  assert.deepEqual(first.answer.headers, {
    'x-user-ratelimit-limit': '1',
    'x-user-ratelimit-remaining': '0',
    'x-user-ratelimit-reset': '10',
    'x-2-ratelimit-limit': '5',
    'x-2-ratelimit-remaining': '4',
    'x-2-ratelimit-reset': '60',
  })
  const second = await bound.run({ headers })
  assert.equal(second.verdict?.status, 429)
  assert.equal(second.answer.headers['x-2-ratelimit-limit'], undefined, 'the second rule was not asked')
  assert.deepEqual((await bound.run({ headers: { 'x-quota': 'many' } })).verdict, { status: 500 })
})

test('a variable of a rule may have a stand-in', async () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference in APISIX's notation
  const rules = [{ count: 1, time_window: 60, key: '${http_x_team ?? nobody}' }]
  const bound = bindPolicy(policy, { config: { rules } })
  assert.equal((await bound.run({ headers: { 'x-team': 'a' } })).verdict, undefined)
  assert.equal((await bound.run()).verdict, undefined)
  assert.equal((await bound.run()).verdict?.status, 503)
})

test('a rule that applies and has no valid numbers fails closed, and so does having no rule at all', async () => {
  const rules = [{ count: '$http_x_quota', time_window: 60, key: '$http_x_user' }]
  const bound = bindPolicy(policy, { config: { rules } })
  assert.deepEqual((await bound.run({ headers: { 'x-user': 'a' } })).verdict, { status: 500 })
  assert.deepEqual((await bound.run()).verdict, { status: 500 })
  const lenient = bindPolicy(policy, { config: { rules, allow_degradation: true } })
  assert.equal((await lenient.run()).verdict, undefined)
})

test('the quota can be told in the words of Flex or of the RateLimit draft', async () => {
  const flex = bindPolicy(policy, { config: { count: 2, time_window: 60, quota_headers: 'flex' } })
  await flex.run()
  flex.advance(1234)
  assert.deepEqual(quota(await flex.run()), ['2', '0', '58766'])
  const draft = bindPolicy(policy, { config: { count: 1, time_window: 60, quota_headers: 'draft' } })
  assert.deepEqual((await draft.run()).answer.headers, {
    'ratelimit-policy': '"default";q=1;w=60',
    ratelimit: '"default";r=0;t=60',
  })
  draft.advance(500)
  const rejected = await draft.run()
  assert.equal(rejected.answer.headers.ratelimit, '"default";r=0;t=60')
  assert.equal(rejected.answer.headers['retry-after'], '60')
})

const redis = { count: 1, time_window: 60, policy: 'redis', redis_host: '127.0.0.1' } as const

test('counters in Redis decide as local ones do', async () => {
  const bound = bindPolicy(policy, { config: redis })
  assert.deepEqual(quota(await bound.run()), ['1', '0', '60'])
  const rejected = await bound.run()
  assert.equal(rejected.verdict?.status, 503)
  assert.equal(rejected.answer.headers['retry-after'], '60')
  assert.deepEqual(bound.series(), [
    'sluice_shared_limit_decisions_total{policy="limit-count",decision="counted"} 2',
    'sluice_shared_limit_decisions_total{policy="limit-count",decision="closed"} 0',
    'sluice_shared_limit_decisions_total{policy="limit-count",decision="open"} 0',
    'sluice_shared_limit_decisions_total{policy="limit-count",decision="local"} 0',
  ])
})

test('while Redis is away requests are refused, pass, or are counted here, and metrics tell which', async () => {
  const absent = () => Promise.reject(new StoreAbsentError('away'))
  const counterStore = { acquire: absent, slide: absent, leak: absent, enter: absent, leave: absent }
  const decisionsOf = (bound: ReturnType<typeof bindPolicy>) =>
    bound.series().filter((line) => !line.endsWith(' 0'))

  const closed = bindPolicy(policy, { config: redis, counterStore })
  const { verdict } = await closed.run()
  assert.deepEqual(verdict, { status: 500, body: { error_msg: 'failed to limit count' } })
  assert.match(decisionsOf(closed).join(), /decision="closed"\} 1/)

  const open = bindPolicy(policy, { config: { ...redis, allow_degradation: true }, counterStore })
  for (let n = 0; n < 3; n++) assert.equal((await open.run()).verdict, undefined)
  assert.match(decisionsOf(open).join(), /decision="open"\} 3/)

  const local = bindPolicy(policy, { config: { ...redis, absent_store: 'local' }, counterStore })
  assert.deepEqual(quota(await local.run()), ['1', '0', '60'])
  assert.equal((await local.run()).verdict?.status, 503)
  assert.match(decisionsOf(local).join(), /decision="local"\} 2/)
})

test('an error that is no absence is not taken for one', async () => {
  const broken = () => Promise.reject(new TypeError('broken'))
  const counterStore = { acquire: broken, slide: broken, leak: broken, enter: broken, leave: broken }
  const bound = bindPolicy(policy, { config: { ...redis, allow_degradation: true }, counterStore })
  await assert.rejects(bound.run(), TypeError)
})

test('a wrong value of each field is a finding', () => {
  const valid = { count: 1, time_window: 60 }
  const rule = { count: 1, time_window: 1, key: '$uri' }
  const wrong: [object, RegExp][] = [
    [{ ...valid, count: 0 }, /count/],
    [{ ...valid, time_window: -1 }, /time_window/],
    [{ count: 1 }, /'count' and 'time_window' are needed/],
    [{ ...valid, rules: [rule] }, /count\/time_window and rules cannot be specified/],
    [{ rules: [rule], group: 'g' }, /group and rules cannot be specified/],
    [{ rules: [rule, rule] }, /duplicate key '\$uri' in rules/],
    [{ rules: [{ ...rule, header_prefix: 'a b' }] }, /header_prefix 'a b' cannot stand in a field name/],
    [{ ...valid, key_type: 'header' }, /key_type/],
    [{ ...valid, window_type: 'rolling' }, /window_type/],
    [{ ...valid, rejected_code: 100 }, /rejected_code/],
    [{ ...valid, rejected_msg: '' }, /rejected_msg/],
    [{ ...valid, quota_headers: 'none' }, /quota_headers/],
    [{ ...valid, policy: 'memcached' }, /policy/],
    [{ ...valid, policy: 'redis' }, /'redis' needs 'redis_host'/],
    [{ ...valid, policy: 'redis-cluster', redis_cluster_nodes: ['a:1'] }, /needs 'redis_cluster_name'/],
    [{ ...valid, redis_cluster_nodes: ['nowhere'] }, /'nowhere' is not host:port/],
    [{ ...valid, policy: 'redis-sentinel', redis_master_name: 'm' }, /needs 'redis_sentinels'/],
    [{ ...redis, redis_port: 0 }, /redis_port/],
    [{ ...redis, redis_timeout: 0 }, /redis_timeout/],
    [{ ...redis, redis_database: -1 }, /redis_database/],
    [{ ...redis, redis_ssl: 'yes' }, /redis_ssl/],
    [{ ...redis, absent_store: 'ignore' }, /absent_store/],
    [{ ...redis, lease: 1 }, /lease/],
    [{ ...valid, lease: 10 }, /'lease' is for counters in Redis/],
    [{ ...redis, lease: 10, window_type: 'sliding' }, /'lease' is for fixed windows/],
    [{ ...redis, lease: 10, sync_interval: 1 }, /exclude each other/],
    [{ ...redis, sync_interval: 0.01 }, /sync_interval should not be smaller than 0.1/],
    [{ ...redis, sync_interval: 60 }, /sync_interval should be smaller than time_window/],
    [{ ...valid, count: 'many' }, /'count' must be a whole number from 1 on/],
    [{ ...valid, count: '0' }, /'count' must be a whole number from 1 on/],
    [{ ...valid, time_window: '1.5' }, /'time_window' must be a whole number from 1 on/],
    [{ rules: [{ key: 'a', count: 'many', time_window: 1 }] }, /'count' must be a whole number from 1 on/],
  ]
  for (const [config, finding] of wrong)
    assert.throws(() => bindPolicy(policy, { config: config as never }), finding, JSON.stringify(config))
})
