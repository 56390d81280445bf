import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Exchange } from './exchange.ts'
import { HeldBody } from './held-body.ts'
import { compileValue, compileVariable } from './variables.ts'

function request(contentType: string | undefined, body: string, changes: object = {}): Exchange {
  const headers = { get: (name: string) => (name === 'content-type' ? contentType : undefined) }
  const heldBody = (limit: number) => (body.length > limit ? null : Buffer.from(body).toString('latin1'))
  return { request: { method: 'POST', query: '', headers, heldBody, ...changes } } as unknown as Exchange
}

function values(x: Exchange, ...names: string[]): unknown[] {
  return names.map((name) => compileValue(name)(x))
}

suite('variables of the body', () => {
  test('of a form', () => {
    const x = request('application/x-www-form-urlencoded; charset=utf-8', 'k=v&k=w&e=%C3%A9+x&flag&=no&a.b=1')
    assert.deepEqual(values(x, 'post_arg_k', 'post_arg_e', 'post_arg_flag', 'post_arg_none'), [
      'v',
      '\xc3\xa9 x',
      true,
      undefined,
    ])
    assert.deepEqual(
      values(x, 'post_arg.k', 'post_arg.e', 'post_arg.flag', 'post_arg.k[*]', 'post_arg.a.b'),
      [['v', 'w'], '\xc3\xa9 x', true, ['v', 'w'], undefined],
    )
    assert.equal(compileVariable('post_arg_flag')(x), 'true')
    assert.equal(compileVariable('post_arg.k')(x), undefined)
  })

  test('of JSON', () => {
    const x = request(
      'application/json',
      '{"a":{"b":"é","n":1.5,"t":true,"z":null,"l":["x","é",3]},"__proto__":1}',
    )
    assert.deepEqual(
      values(
        x,
        'post_arg.a.b',
        'post_arg.a.n',
        'post_arg.a.t',
        'post_arg.a.z',
        'post_arg.a.l[*]',
        'post_arg.a.l.0',
        'post_arg.a.c.d',
      ),
      ['\xc3\xa9', 1.5, true, null, ['x', '\xc3\xa9', 3], undefined, undefined],
    )
    assert.deepEqual(values(x, 'post_arg_a', 'post_arg.constructor', 'post_arg.a.l.length'), [
      undefined,
      undefined,
      undefined,
    ])
    assert.equal(compileVariable('post_arg.a.n')(x), '1.5')
    assert.deepEqual(values(request('application/json', '{"a":'), 'post_arg.a', 'post_arg..a[*]'), [
      undefined,
      undefined,
    ])
  })

  test('of a body that was replaced', () => {
    let body = '{"a":1}'
    const x = request('application/json', '', { heldBody: () => body })
    assert.deepEqual(values(x, 'post_arg.a', 'post_arg.b'), [1, undefined])
    body = '{"b":2}'
    assert.deepEqual(values(x, 'post_arg.a', 'post_arg.b'), [undefined, 2])
  })

  test('of a multipart form', () => {
    const x = request(
      'multipart/form-data; boundary=b',
      '--b\nContent-Disposition: form-data; name="model"\n\nopenai\n--b--',
    )
    assert.deepEqual(values(x, 'post_arg.model', 'post_arg_model', 'post_arg.other'), [
      'openai',
      undefined,
      undefined,
    ])
    assert.deepEqual(values(request('multipart/form-data', 'x'), 'post_arg.model'), [undefined])
  })

  test('of GraphQL in a body, in JSON and in the query', () => {
    const names = ['graphql_operation', 'graphql_name', 'graphql_root_fields']
    const document = 'query repo { owner { name } repo { stars } }'
    const expected = ['query', 'repo', ['owner', 'repo']]
    assert.deepEqual(values(request(undefined, document), ...names), expected)
    assert.deepEqual(
      values(request('application/json', JSON.stringify({ query: document })), ...names),
      expected,
    )
    const get = request(undefined, '', {
      method: 'GET',
      query: `query=${encodeURIComponent(document)}&query=x`,
    })
    assert.deepEqual(values(get, ...names), expected)
    assert.deepEqual(values(request(undefined, '{ a }'), ...names), ['query', '', ['a']])
  })

  test('are not there for what is no GraphQL', () => {
    const nothing = [undefined, undefined]
    for (const x of [
      request(undefined, 'AA'),
      request(undefined, ''),
      request('application/json', '{}'),
      request('application/json', 'null'),
      request('application/json', '{"query":1}'),
      request(undefined, '{ a }', { method: 'PUT' }),
      request(undefined, '{ a }', { method: 'GET', query: 'query' }),
    ]) {
      assert.deepEqual(values(x, 'graphql_operation', 'graphql_root_fields'), nothing)
    }
    assert.equal(compileValue('graphql_other')(request(undefined, '{ a }')), undefined)
  })

  test('are not there without a type that could have them, and nobody asks for the body then', () => {
    const heldBody = () => assert.fail('asked for the body')
    for (const type of [undefined, 'text/plain', 'multipart/mixed']) {
      const x = request(type, '', { heldBody })
      assert.deepEqual(values(x, 'post_arg_a', 'post_arg.a', 'post_arg.a[*]'), [
        undefined,
        undefined,
        undefined,
      ])
    }
    assert.deepEqual(
      values(request('application/json', '', { heldBody, method: 'DELETE' }), 'graphql_name'),
      [undefined],
    )
  })
})

suite('a body that is held', () => {
  test('is asked for until it is there', () => {
    const held = new HeldBody(-1)
    assert.equal(held.ask(10), null)
    assert.equal(held.wanted, 10)
    assert.equal(held.ask(5), null)
    assert.equal(held.wanted, 10)
    held.complete('123456')
    assert.deepEqual([held.ask(6), held.ask(5), held.wanted], ['123456', null, 0])
  })

  test('is not read where it is known to be too large, except for who takes more', () => {
    const held = new HeldBody(100)
    assert.deepEqual([held.ask(99), held.wanted], [null, 0])
    assert.deepEqual([held.ask(100), held.wanted], [null, 100])
    held.exceeded(101)
    assert.deepEqual([held.ask(100), held.wanted], [null, 0])
    assert.deepEqual([held.ask(200), held.wanted], [null, 200])
  })
})
