/** GraphQL queries that are charged by the data they ask for: what the upstream is asked, and what clients are charged. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { policyGateway, type Received } from '../harness/policy-gateway.ts'

const object = (name: string) => ({
  kind: 'NON_NULL',
  ofType: { kind: 'LIST', ofType: { kind: 'OBJECT', name } },
})
const schema = {
  queryType: { name: 'Root' },
  mutationType: null,
  types: [
    {
      name: 'Root',
      fields: [{ name: 'books', type: object('Book'), args: [{ name: 'first', defaultValue: '10' }] }],
    },
    { name: 'Book', fields: [{ name: 'title', type: { kind: 'SCALAR', name: 'String' }, args: [] }] },
    { name: 'String', fields: null },
  ],
}
const isIntrospection = ({ body }: Received) => body.includes('__schema')

const gateway = policyGateway(
  (port) => `
services:
  - id: library
    upstream: { nodes: { "127.0.0.1:${port}": 1 }, pass_host: rewrite, upstream_host: library.test }
    plugins: { graphql-limit-count: { count: 1000, time_window: 3600, key: uri, cost_strategy: complexity, max_cost: 500 } }
    graphql_cost_decorations:
      - { id: books, field_path: Root.books, mul_arguments: [first] }
  - id: library/graphql_cost_decorations/title
    field_path: Book.title
    add_value: 2
  - id: guarded
    upstream_id: u
    plugins:
      graphql-limit-count:
        count: 1000
        time_window: 3600
        cost_strategy: node_quantifier
        introspection_endpoint: http://127.0.0.1:${port}/guarded/schema
        introspection_headers: { Authorization: Bearer of-the-operator }
    graphql_cost_decorations: [{ field_path: Root.books, mul_arguments: [first] }]
routes:
  - { id: library, uri: /library, service_id: library }
  - { id: moved, uri: /moved, service_id: library, plugins: { proxy-rewrite: { uri: /new } } }
  - { id: broken, uri: /broken/*, service_id: library }
  - { id: guarded, uri: /guarded, service_id: guarded }
  - id: alone
    uri: /alone
    upstream_id: u
    plugins: { graphql-limit-count: { count: 1000, time_window: 3600, cost_strategy: complexity } }
`,
  (received, response) => {
    if (!isIntrospection(received)) return false
    const isRefused =
      received.target.startsWith('/guarded') && received.headers.authorization !== 'Bearer of-the-operator'
    if (isRefused) response.statusCode = 401
    response.end(
      received.target.startsWith('/broken') ? '{"data":{}}' : JSON.stringify({ data: { __schema: schema } }),
    )
    return true
  },
)

/** Also what the upstream was asked besides, and got. */
async function ask(path: string, query: string, more: object = {}) {
  const before = gateway.received.length
  const answered = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer of-the-client', cookie: 'a=b' },
    body: JSON.stringify({ query, ...more }),
  })
  const text = await answered.text()
  const received = gateway.received.slice(before)
  return {
    status: answered.status,
    text,
    cost: answered.headers.get('x-graphql-query-cost'),
    introspections: received.filter(isIntrospection),
    passed: received.filter((one) => !isIntrospection(one)),
  }
}

suite('by the decorations of the service', () => {
  test('the upstream is asked for its schema once, with nothing of the client', async () => {
    const first = await ask('/library', '{ books(first: 20) { title } }')
    // (2 + 1 of the title) * 20 + 1, 1 for the query, and the hundredth rounded up
    assert.deepEqual([first.status, first.cost, first.passed.length], [200, '43', 1])
    const [asked] = first.introspections
    assert.deepEqual(
      [asked!.method, asked!.target, asked!.headers.host],
      ['POST', '/library', 'library.test'],
    )
    assert.deepEqual([asked!.headers.authorization, asked!.headers.cookie], [undefined, undefined])

    const second = await ask('/library', 'query ($n: Int) { books(first: $n) { title } }', {
      variables: { n: 7 },
    })
    assert.deepEqual([second.cost, second.introspections], ['17', []])
    assert.equal((await ask('/library', '{ books { title } }')).cost, '23')
  })

  test('a query above max_cost never reaches the upstream', async () => {
    const { status, text, passed } = await ask('/library', '{ books(first: 300) { title } }')
    assert.deepEqual([status, passed], [403, []])
    assert.match(text, /query cost 603 exceeds max_cost 500/)
  })

  test('a path that was rewritten is the one that is asked', async () => {
    const { introspections, passed } = await ask('/moved', '{ books { title } }')
    assert.deepEqual(
      [introspections, passed].map((list) => list.map(({ target }) => target)),
      [['/new'], ['/new']],
    )
  })

  test('while the schema is not known, nothing passes', async () => {
    const first = await ask('/broken/a', '{ books { title } }')
    assert.deepEqual([first.status, first.cost, first.passed], [400, null, []])
    assert.match(first.text, /failed to introspect the upstream graphql schema/)
    assert.equal((await ask('/broken/a', '{ books { title } }')).introspections.length, 0)
    // And what is known at another path is not lost with it.
    assert.equal((await ask('/library', '{ books { title } }')).cost, '23')
  })

  test('an endpoint is asked as the operator', async () => {
    const { cost, introspections } = await ask('/guarded', '{ books(first: 3) { title } }')
    assert.deepEqual([cost, introspections.map(({ target }) => target)], ['2', ['/guarded/schema']])
  })

  test('a route without a service is charged by fields, and asks for no schema', async () => {
    const { cost, introspections } = await ask('/alone', '{ books(first: 90) { title } }')
    assert.deepEqual([cost, introspections], ['4', []])
  })
})
