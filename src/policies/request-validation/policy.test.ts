import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const body_schema = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', pattern: '^[a-z]+$' }, size: { type: 'integer', maximum: 5 } },
}
const json = { 'Content-Type': 'application/json' }
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }

const validated = (config: object, request: object) =>
  runPolicy(policy, { config, request: { method: 'POST', ...request } })

test('a body that fits goes on', async () => {
  const { upstream } = await validated({ body_schema }, { headers: json, body: '{"name":"a" , "size":5}' })
  assert.equal(upstream?.body, '{"name":"a","size":5}')
})

test('the answer says what is wrong, or what it was told to say', async () => {
  const request = { body: '{"size":5}' }
  const { answer, upstream } = await validated({ body_schema }, request)
  assert.deepEqual([answer.status, answer.body, upstream], [400, 'property "name" is required', undefined])
  const told = await validated({ body_schema, rejected_code: 422, rejected_msg: 'no' }, request)
  assert.deepEqual([told.answer.status, told.answer.body], [422, 'no'])
})

suite('bodies that are rejected', () => {
  const rejected: [string, object][] = [
    ['none', {}],
    ['no JSON', { body: 'name=a' }],
    ['another type in it', { body: '{"name":1}' }],
    ['no map', { body: '[]' }],
    ['a member that is too large', { body: '{"name":"a","size":6}' }],
    ['the second of two equal names', { body: '{"name":"a","name":"A"}' }],
    ['too many bytes', { body: `{"name":"${'a'.repeat(100)}"}` }],
    ['nesting without end', { body: '['.repeat(50_000) }],
    [
      'two types',
      {
        headers: [
          ['Content-Type', 'application/json'],
          ['Content-Type', 'application/x-www-form-urlencoded'],
        ],
        body: '{"name":"a"}',
      },
    ],
  ]
  for (const [name, request] of rejected) {
    test(name, async () => {
      const { answer } = await validated({ body_schema, max_req_body_size: 60 }, request)
      assert.equal(answer.status, 400)
    })
  }
})

test('the checked one of two equal names is the one that goes on, and numbers keep their digits', async () => {
  const body = '{"name":"A","name":"a","id":12345678901234567890,"price":1.10}'
  const { upstream } = await validated({ body_schema }, { body })
  assert.equal(upstream?.body, '{"name":"a","id":12345678901234567890,"price":1.10}')
})

test('forms are read as forms and go on as they are', async () => {
  const { upstream } = await validated({ body_schema }, { headers: form, body: 'name=%61b&x' })
  assert.equal(upstream?.body, 'name=%61b&x')
  const twice = await validated({ body_schema }, { headers: form, body: 'name=a&name=b' })
  assert.equal(twice.answer.status, 400)
})

test('fields fit under any spelling of their names', async () => {
  const header_schema = {
    type: 'object',
    required: ['X-Test', 'other'],
    properties: { 'X-Test': { type: 'string', enum: ['a'] }, other: { type: 'string' } },
  }
  const fits = await validated({ header_schema }, { headers: { 'x-test': 'a', OTHER: 'b' } })
  assert.ok(fits.upstream)
  const twice = [
    ['x-test', 'a'],
    ['X-Test', 'a'],
    ['other', 'b'],
  ]
  assert.equal((await validated({ header_schema }, { headers: twice })).answer.status, 400)
  assert.match((await validated({ header_schema }, {})).answer.body, /property "X-Test" is required/)
})

test('texts that look like references to secrets are checked like others', async () => {
  const body = '{"name":"$env://HOME"}'
  assert.equal((await validated({ body_schema }, { body })).answer.status, 400)
})

test('draft 4 has its exclusive limits', async () => {
  const schema = { $schema: 'http://json-schema.org/draft-04/schema#', minimum: 1, exclusiveMinimum: true }
  assert.equal((await validated({ body_schema: schema }, { body: '1' })).answer.status, 400)
  assert.ok((await validated({ body_schema: schema }, { body: '2' })).upstream)
})

test('later drafts are known by their name', async () => {
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  const schema = { $schema, prefixItems: [{ type: 'string' }], items: false }
  assert.ok((await validated({ body_schema: schema }, { body: '["a"]' })).upstream)
  assert.equal((await validated({ body_schema: schema }, { body: '["a",1]' })).answer.status, 400)
})

test('types of Lua: a table is a map or a list, and nothing is a function', async () => {
  for (const [type, body, isTaken] of [
    ['table', '{"a":1}', true],
    ['table', '[1]', true],
    ['table', '1', false],
    ['function', '{}', false],
  ] as const) {
    const { upstream } = await validated({ body_schema: { type } }, { body })
    assert.equal(upstream !== undefined, isTaken, `${type} ${body}`)
  }
  const named = { properties: { type: { type: 'string' }, enum: { type: 'string' } } }
  assert.ok((await validated({ body_schema: named }, { body: '{"type":"x","enum":"y"}' })).upstream)
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /.+/],
    [{ body_schema: 'x' }, /body_schema/],
    [{ header_schema: 1 }, /header_schema/],
    [{ body_schema: { type: 'nothing' } }, /invalid JSON type: nothing/],
    [{ body_schema: { properties: { a: { enum: 'x' } } } }, /enum: table expected, got string/],
    [{ header_schema: { required: 'x' } }, /required: table expected, got string/],
    [{ header_schema: { properties: 1 } }, /.+/],
    [{ body_schema: { $ref: 'http://127.0.0.1/schema.json' } }, /.+/],
    [{ body_schema: {}, rejected_code: 199 }, /rejected_code/],
    [{ body_schema: {}, rejected_msg: '' }, /rejected_msg/],
    [{ body_schema: {}, max_req_body_size: 0 }, /max_req_body_size/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
