import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { conn: 2, burst: 2, default_conn_delay: 0.1, key: 'remote_addr' }

test('requests beyond conn wait, those beyond the burst are rejected, and who ends makes room', async () => {
  const bound = bindPolicy(policy, { config })
  const first = bound.begin()
  const second = bound.begin()
  assert.equal(await first.verdict, undefined)
  assert.equal(await second.verdict, undefined)
  const third = bound.begin()
  const fourth = bound.begin()
  const rejected = await bound.run()
  assert.deepEqual(rejected.verdict, { status: 503 })
  assert.equal(rejected.answer.headers['retry-after'], '1')
  let waiting = 2
  for (const { verdict } of [third, fourth]) verdict.then(() => waiting--)
  bound.advance(99)
  await Promise.resolve()
  assert.equal(waiting, 2)
  bound.advance(1)
  assert.deepEqual(await Promise.all([third.verdict, fourth.verdict]), [undefined, undefined])
  for (const begun of [first, second, third, fourth]) begun.end()
  assert.equal((await bound.run()).verdict, undefined)
  assert.equal(await bound.begin().verdict, undefined)
})

test('the wait grows with every conn that is under way', async () => {
  const bound = bindPolicy(policy, { config: { ...config, conn: 1, burst: 3 } })
  bound.begin()
  bound.begin()
  const third = bound.begin()
  let done = false
  third.verdict.then(() => {
    done = true
  })
  bound.advance(199)
  await Promise.resolve()
  assert.equal(done, false)
  bound.advance(1)
  assert.equal(await third.verdict, undefined)
})

test('a request whose client goes away while it waits counts no longer', async () => {
  const bound = bindPolicy(policy, { config: { ...config, conn: 1, burst: 1 } })
  const first = bound.begin()
  const waiting = bound.begin()
  assert.equal((await bound.run()).verdict?.status, 503)
  waiting.end('client_abort')
  assert.equal(await waiting.verdict, undefined)
  const next = bound.begin()
  bound.advance(100)
  assert.equal(await next.verdict, undefined)
  first.end()
  next.end()
})

test('a request whose client went away before is not counted', async () => {
  const bound = bindPolicy(policy, { config: { ...config, conn: 1, burst: 0 } })
  const gone = bound.begin({ address: '192.0.2.9' })
  gone.end('client_abort')
  bound.handlers.request?.(gone.exchange)
  assert.equal(await bound.begin({ address: '192.0.2.9' }).verdict, undefined)
})

test('rules count each for itself, and one without a value does not apply', async () => {
  const rules = [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference in APISIX's notation
    { conn: '${http_x_most}', burst: 0, key: '$remote_addr $http_x_most' },
    { conn: 1, burst: 0, key: '$http_x_user' },
  ]
  const bound = bindPolicy(policy, {
    config: { default_conn_delay: 1, rules, rejected_code: 429, rejected_msg: 'busy' },
  })
  assert.equal(await bound.begin({ headers: { 'x-user': 'a' } }).verdict, undefined)
  const refused = await bound.run({ headers: { 'x-user': 'a' } })
  assert.equal(refused.answer.status, 429)
  assert.equal(refused.answer.body, '{"error_msg":"busy"}\n')
  assert.equal(await bound.begin({ headers: { 'x-most': '1' } }).verdict, undefined)
  assert.equal((await bound.run({ headers: { 'x-most': '1' } })).verdict?.status, 429)
  assert.deepEqual((await bound.run({ headers: { 'x-most': 'none' } })).verdict?.status, 500)
})

test('numbers from variables have to be valid', async () => {
  const dynamic = { ...config, conn: '$http_conn', burst: '$http_burst' }
  const bound = bindPolicy(policy, { config: dynamic })
  assert.equal((await bound.run({ headers: { conn: '1', burst: '0' } })).verdict, undefined)
  for (const conn of ['0', '-1', '1.5', 'many', '', '9999999999999999'])
    assert.deepEqual((await bound.run({ headers: { conn, burst: '0' } })).verdict, { status: 500 })
  const lenient = bindPolicy(policy, { config: { ...dynamic, allow_degradation: true } })
  assert.equal((await lenient.run()).verdict, undefined)
})

test('a wrong value of each field is a finding', () => {
  const wrong: [object, RegExp][] = [
    [{ conn: 0 }, /conn/],
    [{ burst: -1 }, /burst/],
    [{ default_conn_delay: 0 }, /default_conn_delay: must be > 0/],
    [{ only_use_default_delay: 1 }, /only_use_default_delay/],
    [{ key: 1 }, /key/],
    [{ key_type: 'constant' }, /key_type/],
    [{ rules: [{ conn: 1 }] }, /rules/],
    [{ rules: [] }, /'rules' stands in place/],
    [{ conn: undefined }, /'conn', 'burst' and 'key' are needed/],
    [{ rejected_code: 600 }, /rejected_code/],
    [{ policy: 'redis-sentinel' }, /policy/],
    [{ conn: 'many' }, /'conn' must be a whole number from 1 on/],
    [{ burst: '-1' }, /'burst' must be a whole number from 0 on/],
  ]
  for (const [fields, finding] of wrong)
    assert.throws(() => bindPolicy(policy, { config: { ...config, ...fields } as never }), finding)
})
