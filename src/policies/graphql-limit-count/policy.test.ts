import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { count: 100, time_window: 60 }
const json = (query: unknown, more: object = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify({ query, ...more }),
})
const graphql = (body: string) => ({
  method: 'POST',
  headers: { 'content-type': 'application/graphql' },
  body,
})

test('a query costs its depth, whatever fragments it is written with', async () => {
  const documents: [text: string, cost: string][] = [
    ['{ a }', '1'],
    ['query q { foo { bar, baz { boo, bee, baa { bar_id, lol } } } }', '4'],
    ['{ foo { ...F } } fragment F on T { baz { baa { id } } }', '4'],
    ['{ foo { ... on T { baz { ... { baa { id } } } } } }', '4'],
    ['{ foo { ...A } } fragment A on T { baz { ...B } } fragment B on T { baa { id } }', '4'],
    ['{ a ...Unknown }', '1'],
    ['query small { a } query large { a { b { c } } }', '3'],
  ]
  for (const [text, cost] of documents) {
    const { answer } = await bindPolicy(policy, { config }).run(graphql(text))
    assert.equal(answer.headers['x-graphql-query-cost'], cost, text)
    assert.equal(answer.headers['x-ratelimit-remaining'], String(100 - Number(cost)), text)
    assert.equal((await bindPolicy(policy, { config }).run(json(text))).upstream?.method, 'POST')
  }
})

test('the operation that is named is the one that is charged', async () => {
  const request = json('query small { a } query large { a { b { c } } }', { operationName: 'small' })
  const { answer } = await bindPolicy(policy, { config }).run(request)
  assert.equal(answer.headers['x-graphql-query-cost'], '1')
})

test('the quota is charged by cost, and what has no room for it is rejected', async () => {
  const bound = bindPolicy(policy, { config: { count: 4, time_window: 60 } })
  assert.equal((await bound.run(graphql('{ a { b { c { d } } } }'))).verdict, undefined)
  assert.deepEqual((await bound.run(graphql('{ a }'))).verdict, { status: 503 })
})

test('a query above max_cost is charged and refused', async () => {
  const bound = bindPolicy(policy, { config: { ...config, max_cost: 2, score_factor: 1.5 } })
  assert.equal((await bound.run(graphql('{ a }'))).verdict, undefined)
  const { verdict, answer } = await bound.run(graphql('{ a { b } }'))
  assert.equal(verdict?.status, 403)
  assert.deepEqual(verdict?.body, { message: 'Invalid graphql request: query cost 3 exceeds max_cost 2' })
  assert.equal(answer.headers['x-ratelimit-remaining'], '95')
})

test('what is no GraphQL request is refused and not charged', async () => {
  const bound = bindPolicy(policy, { config })
  const refused: [object, number, RegExp][] = [
    [{ method: 'GET' }, 405, /^$/],
    [{ method: 'POST' }, 400, /can't get graphql request body/],
    [
      { ...graphql('{a}'), headers: { 'content-type': 'text/plain' } },
      400,
      /error content-type: text\/plain/,
    ],
    [{ ...graphql('{a}'), headers: {} }, 400, /error content-type: /],
    [{ ...json('x'), body: '{"query":"{a}",}' }, 400, /invalid graphql request, Expected object key string/],
    [{ ...json('x'), body: '{}' }, 400, /json body\[query\] is nil/],
    [{ ...json('x'), body: 'null' }, 400, /json body\[query\] is nil/],
    [json(5), 400, /failed to parse graphql query/],
    [json(''), 400, /empty graphql query/],
    [json('fragment F on T { a }'), 400, /empty graphql query/],
    [json('{ a'), 400, /failed to parse graphql query/],
    [json('{ ...F } fragment F on T { a { ...F } }'), 400, /must not form cycles/],
    [json('{ ...F } fragment F on T { ...G } fragment G on T { ...F }'), 400, /must not form cycles/],
  ]
  for (const [request, status, body] of refused) {
    const run = await bound.run(request)
    assert.equal(run.verdict?.status, status)
    assert.match(run.answer.body, body)
    assert.equal(run.answer.headers['x-ratelimit-limit'], undefined)
  }
})

test('documents made to be dear are cheap to measure, by each strategy', async () => {
  const doubling = Array.from(
    { length: 100 },
    (_, n) => `fragment F${n} on T { a { ...F${n + 1} ...F${n + 1} } }`,
  )
  const { answer } = await bindPolicy(policy, { config: { ...config, count: 1000 } }).run(
    graphql(`{ ...F0 } ${doubling.join(' ')} fragment F100 on T { a }`),
  )
  assert.equal(answer.headers['x-graphql-query-cost'], '101')
  const chain = Array.from({ length: 20_000 }, (_, n) => `fragment F${n} on T { ...F${n + 1} }`)
  const nested = `${'{ a '.repeat(150)}`
  const tower = Array.from(
    { length: 500 },
    (_, n) => `fragment F${n} on T ${nested} { ...F${n + 1} } ${'}'.repeat(150)}`,
  )
  for (const cost_strategy of ['depth', 'complexity', 'node_quantifier'] as const) {
    for (const fragments of [chain, tower]) {
      const bound = bindPolicy(policy, { config: { ...config, cost_strategy } })
      assert.equal((await bound.run(graphql(`{ ...F0 } ${fragments.join(' ')}`))).verdict?.status, 400)
    }
  }
  for (const cost_strategy of ['complexity', 'node_quantifier'] as const) {
    const bound = bindPolicy(policy, { config: { ...config, cost_strategy } })
    const { verdict } = await bound.run(graphql(`{ ...F0 } ${doubling.join(' ')}`))
    assert.deepEqual(verdict?.body, {
      message: 'Invalid graphql request: the query expands too many selections',
    })
  }
})

test('a wrong value of each field is a finding', () => {
  const wrong: [object, RegExp][] = [
    [{ cost_strategy: 'size' }, /cost_strategy/],
    [{ max_cost: -1 }, /max_cost/],
    [{ score_factor: 0 }, /score_factor/],
    [{ resolve_variables: 1 }, /resolve_variables/],
    [{ introspection_endpoint: 'ftp://x' }, /introspection_endpoint/],
    [{ introspection_headers: { a: 1 } }, /introspection_headers/],
    [{ introspection_headers: { 'Content-Length': '1' } }, /written by the gateway itself/],
    [{ introspection_headers: { 'a b': '1' } }, /introspection_headers/],
    [{ count: undefined }, /'count' and 'time_window' are needed/],
  ]
  for (const [fields, finding] of wrong)
    assert.throws(() => bindPolicy(policy, { config: { ...config, ...fields } as never }), finding)
})
