import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const json = { 'content-type': 'application/json' }
const post = (body: string | object, headers: Record<string, string> = json): FakeRequest => ({
  method: 'POST',
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

suite('configurations that are refused', () => {
  const findings: [object, RegExp][] = [
    [{ cache_strategy: 'network' }, /cache_strategy/],
    [{ cache_zone: 'nowhere' }, /^Error: cache_zone nowhere not found$/],
    [{ cache_strategy: 'memory' }, /invalid or empty cache_zone/],
    [{ cache_ttl: 0 }, /cache_ttl/],
    [{ consumer_isolation: 1 }, /consumer_isolation/],
    [{ cache_set_cookie: 'no' }, /cache_set_cookie/],
  ]
  for (const [config, finding] of findings)
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config }), finding))
})

suite('what is no query is refused, and reaches no upstream', () => {
  const cases: [name: string, request: FakeRequest, status: number, message?: RegExp][] = [
    ['another method', { method: 'PUT' }, 405],
    ['nothing by GET', {}, 400, /can't get graphql request body/],
    ['no query by GET', { target: '/?a=b' }, 400, /args\[query\] is nil/],
    ['nothing by POST', post(''), 400, /can't get graphql request body/],
    ['another type', post('{a}', { 'content-type': 'text/plain' }), 400, /error content-type: text\/plain/],
    ['no type', post('{a}', {}), 400, /error content-type: /],
    ['no JSON', post('{'), 400, /invalid graphql request, Expected/],
    ['no query in JSON', post({ query: null }), 400, /json body\[query\] is nil/],
    ['a query that is no text', post({ query: ['{a}'] }), 400, /failed to parse/],
    ['a list of queries', post('[{"query":"{a}"}]'), 400, /json body\[query\] is nil/],
    ['no GraphQL', post({ query: 'query {' }), 400, /failed to parse/],
    ['no operation', post({ query: '' }), 400, /empty graphql query/],
  ]
  for (const [name, request, status, message = /^/] of cases) {
    test(name, async () => {
      const { answer, upstream } = await bindPolicy(policy).run(request)
      assert.deepEqual([answer.status, upstream], [status, undefined])
      assert.match(answer.body, message)
    })
  }
})

test('mutations and subscriptions pass by the store', async () => {
  for (const query of ['mutation { add }', 'query { a } mutation { add }', 'subscription { news }']) {
    const { answer, upstream } = await bindPolicy(policy).run(post({ query }))
    assert.ok(upstream)
    assert.equal(answer.headers['apisix-cache-status'], 'BYPASS')
    assert.equal(answer.headers['apisix-cache-key'], undefined)
  }
})

test('the key holds the whole of what is asked, and who asks', async () => {
  const { run } = bindPolicy(policy)
  const keyOf = async (request: FakeRequest) => (await run(request)).answer.headers['apisix-cache-key']
  const query = '{a}'
  const keys = await Promise.all([
    keyOf(post({ query })),
    keyOf(post({ query, variables: { n: 1 } })),
    keyOf(post(query, { 'content-type': 'application/graphql' })),
    keyOf({ target: `/?query=${query}` }),
    keyOf({ ...post({ query }), host: 'other.example' }),
    keyOf({ ...post({ query }), consumer: 'jack' }),
    keyOf(post({ query }, { ...json, authorization: 'Bearer x' })),
  ])
  assert.equal(new Set(keys).size, keys.length)
  assert.equal(await keyOf(post({ query })), keys[0])
})

suite('what is asked to be forgotten', () => {
  const removed: string[] = []
  const store = {
    remove(digest: Buffer) {
      removed.push(digest.toString('hex'))
      return removed.length === 1
    },
  }
  const bound = bindPolicy(policy, {
    configs: { r7: { cache_strategy: 'memory', cache_zone: 'memory_cache' } },
    cache: () => ({ store, ttl: 1 }) as never,
  })
  const purge = async (below: string, method = 'PURGE') =>
    (await bound.publicApi({ method, target: `/apisix/plugin/graphql-proxy-cache/${below}` })).status

  test('is forgotten once', async () => {
    assert.equal(await purge('memory/r7/abc'), 200)
    assert.equal(await purge('memory/r7/abc'), 404)
    assert.equal(removed[0], removed[1])
  })

  test('is named by strategy, route and key', async () => {
    removed.length = 9
    for (const below of ['', 'memory', 'memory/r7', 'network/r7/abc', 'disk/r7/abc', 'memory/r7/abc/d'])
      assert.equal(await purge(below), 400, below)
    assert.equal(await purge('memory/r8/abc'), 404)
    assert.equal(await purge('memory/r7/abc', 'GET'), 404)
    assert.equal(removed.length, 9)
  })
})
