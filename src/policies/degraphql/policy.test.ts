import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const query = 'query ($name: String!) { person(name: $name) { id } }'

const sent = (config: object, request: object) => runPolicy(policy, { config: { query, ...config }, request })

test('a POST request brings its variables in a JSON body', async () => {
  const { upstream } = await sent(
    { variables: ['name', 'age'] },
    { method: 'POST', body: '{"name":"ü","x":1}' },
  )
  assert.deepEqual(JSON.parse(Buffer.from(upstream!.body, 'latin1').toString()), {
    variables: { name: 'ü' },
    query,
  })
  assert.equal(upstream?.headers['content-type'], 'application/json')
})

test('a GET request brings them in its query', async () => {
  const { upstream } = await sent(
    { variables: ['name', 'age'], operation_name: 'a' },
    { target: '/p?name=%C3%BC&x=1' },
  )
  const parameters = new URLSearchParams(upstream!.target.slice('/p?'.length))
  assert.deepEqual(Object.fromEntries(parameters), { variables: '{"name":"ü"}', operationName: 'a', query })
})

test('without variables the body of the client is replaced', async () => {
  const { upstream } = await sent({}, { method: 'POST', body: 'anything' })
  assert.deepEqual(JSON.parse(upstream!.body), { query })
})

suite('requests that are rejected', () => {
  const rejected: [object, number][] = [
    [{ method: 'PUT' }, 405],
    [{ method: 'POST' }, 400],
    [{ method: 'POST', body: 'no JSON' }, 400],
    [{ method: 'POST', body: '"text"' }, 400],
    [{ method: 'POST', body: 'null' }, 400],
    [{ method: 'POST', body: `{"name":"${'x'.repeat(50)}"}` }, 413],
  ]
  for (const [request, status] of rejected) {
    test(`${JSON.stringify(request)} with ${status}`, async () => {
      const { answer, upstream } = await sent({ variables: ['name'], max_req_body_size: 30 }, request)
      assert.deepEqual([answer.status, upstream], [status, undefined])
    })
  }
})

test('names of an object that nobody sent are not found', async () => {
  const { upstream } = await sent({ variables: ['constructor'] }, { method: 'POST', body: '{}' })
  assert.deepEqual(JSON.parse(upstream!.body).variables, {})
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /query/],
    [{ query: '' }, /query/],
    [{ query: 'query {' }, /failed to parse query/],
    [{ query: 'query a { b } query c { d }' }, /operation_name is required/],
    [{ query: '{ a }', variables: [] }, /variables/],
    [{ query: '{ a }', operation_name: '' }, /operation_name/],
    [{ query: '{ a }', max_req_body_size: 0 }, /max_req_body_size/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config }), finding))
  }
})
