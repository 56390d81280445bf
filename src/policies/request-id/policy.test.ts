import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('an id goes to the upstream, to the client and to the variables', async () => {
  const { upstream, answer, exchange } = await runPolicy(policy, {})
  const id = upstream?.headers['x-request-id'] ?? ''
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/)
  assert.equal(answer.headers['x-request-id'], id)
  assert.equal(exchange.id, id)
})

test('an id that the client sent is kept; an empty one is not', async () => {
  const { run } = bindPolicy(policy, {})
  const sent = await run({ headers: { 'X-Request-Id': 'mine' } })
  assert.equal(sent.upstream?.headers['x-request-id'], 'mine')
  assert.equal(sent.answer.headers['x-request-id'], 'mine')
  assert.notEqual((await run({ headers: { 'X-Request-Id': '' } })).upstream?.headers['x-request-id'], '')
})

test('what the upstream says in that field stays', async () => {
  const { answer } = await runPolicy(policy, { response: { headers: { 'X-Request-Id': 'theirs' } } })
  assert.equal(answer.headers['x-request-id'], 'theirs')
})

test('the client is not told unless it should be', async () => {
  const { answer, upstream } = await runPolicy(policy, {
    config: { include_in_response: false, header_name: 'X-Trace' },
  })
  assert.equal(answer.headers['x-trace'], undefined)
  assert.ok(upstream?.headers['x-trace'])
})

suite('the algorithms', () => {
  const forms: [object, RegExp][] = [
    [{ algorithm: 'nanoid' }, /^[\w-]{21}$/],
    [{ algorithm: 'range_id' }, /^[A-Za-z0-9]{16}$/],
    [{ algorithm: 'range_id', range_id: { length: 20, char_set: 'abcdef' } }, /^[a-f]{20}$/],
    [{ algorithm: 'ksuid' }, /^[0-9A-Za-z]{27}$/],
    [{ algorithm: 'uuidv7' }, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/],
  ]
  for (const [config, form] of forms) {
    test(JSON.stringify(config), async () => {
      const { run } = bindPolicy(policy, { config })
      const ids = await Promise.all(Array.from({ length: 50 }, () => run()))
      const values = ids.map(({ exchange }) => exchange.id)
      for (const id of values) assert.match(id, form)
      assert.equal(new Set(values).size, 50)
    })
  }

  for (const algorithm of ['ksuid', 'uuidv7'] as const) {
    test(`ids of ${algorithm} sort by time`, async () => {
      const { run, advance } = bindPolicy(policy, { config: { algorithm } })
      const earlier = (await run()).exchange.id
      advance(2000)
      assert.ok(earlier < (await run()).exchange.id)
    })
  }
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{ header_name: 'Content-Length' }, /own to write/],
    [{ header_name: 'a b' }, /invalid header name/],
    [{ include_in_response: 'yes' }, /include_in_response/],
    [{ algorithm: 'snowflake' }, /algorithm/],
    [{ range_id: { length: 5, char_set: 'abcdef' } }, /length/],
    [{ range_id: { length: 6, char_set: 'abc' } }, /char_set/],
    [{ range_id: { length: 6, char_set: 'abcde ' } }, /printable/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
