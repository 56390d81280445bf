import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { CallError } from '../kit/index.ts'
import { bindPolicy, type FakeRequest, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const document = {
  openapi: '3.0.2',
  servers: [{ url: 'https://api.example/api/v3/' }],
  paths: {
    '/pet': {
      post: {
        requestBody: {
          required: true,
          content: {
            'application/json': { schema: { $ref: '#/components/schemas/Pet' } },
            'application/x-www-form-urlencoded': { schema: { $ref: '#/components/schemas/Pet' } },
            'application/xml': {},
          },
        },
      },
    },
    '/pet/all': {
      get: {
        parameters: [
          { $ref: '#/components/parameters/Status' },
          { name: 'tags', in: 'query', schema: { type: 'array', items: { type: 'integer' } } },
          { name: 'ids', in: 'query', explode: false, schema: { type: 'array', maxItems: 2 } },
          { name: 'X-Fast', in: 'header', schema: { type: 'boolean' } },
        ],
      },
    },
    '/pet/{id}': {
      parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'integer' } }],
      get: {},
    },
  },
  components: {
    parameters: {
      Status: {
        name: 'status',
        in: 'query',
        required: true,
        schema: { type: 'string', enum: ['sold', 'new'] },
      },
    },
    schemas: {
      Pet: {
        type: 'object',
        required: ['name'],
        properties: {
          name: { type: 'string' },
          id: { type: 'integer', format: 'int64', minimum: 0, exclusiveMinimum: true },
          price: { type: 'number', multipleOf: 0.01 },
          note: { type: 'string', nullable: true },
          parent: { $ref: '#/components/schemas/Pet' },
          example: { type: 'string' },
        },
        example: { id: 'no schema', name: 'a' },
      },
    },
  },
}
const spec = JSON.stringify(document)
const json = { 'Content-Type': 'application/json' }
const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
const all = '/api/v3/pet/all?status=new'
const pet = (body: string, headers: Record<string, string> = json): FakeRequest => ({
  method: 'POST',
  target: '/api/v3/pet',
  headers,
  body,
})

const validated = (request: FakeRequest, config: object = {}) =>
  runPolicy(policy, { config: { spec, ...config }, request })

suite('requests that fit', () => {
  const fitting: [string, FakeRequest][] = [
    ['a body', pet('{"name":"a","id":1,"price":1.13,"note":null,"parent":{"name":"b"},"example":"c"}')],
    ['a body with parameters of its type', pet('{"name":"a"}', { 'Content-Type': 'Application/JSON; a=b' })],
    ['a form', pet('name=a&id=5', form)],
    ['a body of another type', pet('<a/>', { 'Content-Type': 'application/xml' })],
    ['a parameter of the path', { target: '/api/v3/pet/10' }],
    ['parameters of the query', { target: `${all}&tags=1&tags=2&ids=a,b` }],
    ['a field', { target: all, headers: { 'x-fast': 'true' } }],
  ]
  for (const [name, request] of fitting)
    test(name, async () => assert.ok((await validated(request)).upstream))
})

suite('requests that do not fit', () => {
  const rejected: [string, FakeRequest, RegExp][] = [
    ['an unknown path', { target: '/api/v3/cat' }, /operation/],
    ['a path without that of the server', { target: '/pet/10' }, /operation/],
    ['another method', { method: 'DELETE', target: '/api/v3/pet/10' }, /operation/],
    ['a body that is not there', pet(''), /required/],
    ['a member that is not there', pet('{}'), /name/],
    ['a member of another type', pet('{"name":1}'), /./],
    ['a member at an exclusive limit', pet('{"name":"a","id":0}'), /./],
    ['a member that is no multiple', pet('{"name":"a","price":1.131}'), /./],
    ['a member deep inside', pet('{"name":"a","parent":{"name":1}}'), /./],
    ['no JSON', pet('{'), /JSON/],
    ['nesting without end', pet('['.repeat(50_000)), /JSON/],
    ['an unknown type', pet('a', { 'Content-Type': 'text/plain' }), /content type/],
    ['a form that lacks something', pet('id=5', form), /name/],
    ['a parameter of the path', { target: '/api/v3/pet/a' }, /id/],
    ['a parameter that is not there', { target: '/api/v3/pet/all' }, /status/],
    ['a parameter that comes twice', { target: `${all}&status=new` }, /status/],
    ['a parameter of another value', { target: '/api/v3/pet/all?status=old' }, /status/],
    ['a member of a list', { target: `${all}&tags=1&tags=b` }, /tags/],
    ['a list in one value', { target: `${all}&ids=a,b,c` }, /ids/],
    ['a field', { target: all, headers: { 'x-fast': 'yes' } }, /X-Fast/],
  ]
  for (const [name, request, reason] of rejected) {
    test(name, async () => {
      const { answer, upstream } = await validated(request, { verbose_errors: true })
      assert.equal(upstream, undefined)
      assert.equal(answer.status, 400)
      const { message } = JSON.parse(answer.body)
      assert.match(message, /^failed to validate request\. ./)
      assert.match(message, reason)
    })
  }
})

test('callers are told why only where that is asked for', async () => {
  const { answer } = await validated(pet('{}'), { rejection_status_code: 422 })
  assert.deepEqual([answer.status, answer.body], [422, '{"message":"failed to validate request. "}\n'])
})

test('what does not fit goes on where it is only to be logged', async () => {
  assert.ok((await validated(pet('{}'), { reject_if_not_match: false })).upstream)
})

test('texts in a document may have line ends as they are, as in APISIX', async () => {
  const spec = JSON.stringify({ ...document, info: { description: 'a\nb' } }).replace('\\n', '\n')
  assert.ok((await validated(pet('{"name":"a"}'), { spec })).upstream)
})

test('a body above the limit is rejected', async () => {
  assert.equal((await validated(pet('{"name":"a"}'), { max_req_body_size: 5 })).answer.status, 400)
})

suite('what is skipped is not looked at', () => {
  const skipped: [string, FakeRequest][] = [
    ['skip_request_body_validation', pet('{}')],
    ['skip_path_params_validation', { target: '/api/v3/pet/a' }],
    ['skip_query_param_validation', { target: '/api/v3/pet/all' }],
    ['skip_request_header_validation', { target: all, headers: { 'x-fast': 'yes' } }],
  ]
  for (const [name, request] of skipped)
    test(name, async () => assert.ok((await validated(request, { [name]: true })).upstream))
})

test('version 3.1 has the limits of JSON Schema 2020-12', async () => {
  const schema = { type: 'number', exclusiveMinimum: 0 }
  const content = { 'application/json': { schema } }
  const spec = JSON.stringify({ openapi: '3.1.0', paths: { '/a': { post: { requestBody: { content } } } } })
  const send = (body: string) => validated({ method: 'POST', target: '/a', headers: json, body }, { spec })
  assert.equal((await send('0')).answer.status, 400)
  assert.ok((await send('1')).upstream)
})

suite('a document at a URL', () => {
  const config = { spec_url: 'http://docs.example/a.json', spec_url_request_headers: { 'X-Key': 'k' } }
  const request = { target: '/api/v3/pet/10' }

  test('is fetched once, with the fields that it needs, and again after its time', async () => {
    const metadata = { spec_url_ttl: 60 }
    const bound = bindPolicy(policy, { config, metadata, service: () => ({ body: spec }) })
    assert.ok((await bound.run(request)).upstream)
    assert.equal((await bound.run({ target: '/api/v3/pet/a' })).answer.status, 400)
    assert.deepEqual([bound.calls.length, bound.calls[0]?.headers], [1, { 'X-Key': 'k' }])
    bound.advance(60_001)
    assert.ok((await bound.run(request)).upstream)
    assert.equal(bound.calls.length, 2)
  })

  const failures: [string, () => object][] = [
    ['another status', () => ({ status: 404, body: spec })],
    ['no JSON', () => ({ body: 'no' })],
    ['no OpenAPI', () => ({ body: '{}' })],
    [
      'no answer',
      () => {
        throw new CallError('timeout', 'it does not answer in time')
      },
    ],
  ]
  for (const [name, service] of failures) {
    test(`${name} is an error`, async () => {
      const { answer, upstream } = await bindPolicy(policy, { config, service }).run(request)
      assert.deepEqual([answer.status, upstream], [500, undefined])
      assert.equal(answer.body, '{"message":"failed to parse openapi spec"}\n')
    })
  }
})

test('a reference to what is only known dynamically leads to the one place that there is', async () => {
  const Tags = {
    type: 'object',
    properties: { tags: { type: 'array', items: { $dynamicRef: '#tag' } } },
    $defs: { tag: { $dynamicAnchor: 'tag', type: 'string' } },
  }
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/Tags' } } }
  const paths = { '/a': { post: { requestBody: { content } } } }
  const document = JSON.stringify({ openapi: '3.1.0', paths, components: { schemas: { Tags } } })
  const post = (body: string) => {
    const headers = { 'content-type': 'application/json' }
    return validated({ method: 'POST', target: '/a', headers, body }, { spec: document })
  }
  assert.ok((await post('{"tags":["a"]}')).upstream)
  assert.equal((await post('{"tags":[1]}')).answer.status, 400)
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /.+/],
    [{ spec, spec_url: 'http://a/' }, /.+/],
    [{ spec: 'invalid json string' }, /invalid JSON string provided, err: Expected value/],
    [{ spec: '{}' }, /the OpenAPI document in spec cannot be used: it has no paths/],
    [{ spec: '{"paths":{},"swagger":"2.0"}' }, /it is not of OpenAPI 3\.0 or 3\.1/],
    [
      {
        spec: '{"openapi":"3.0.0","paths":{"/a":{"get":{"parameters":[{"$ref":"http://127.0.0.1/a.json"}]}}}}',
      },
      /it has a reference that leads out of it/,
    ],
    [{ spec_url: 'ftp://a/' }, /spec_url/],
    [{ spec_url: 'http://' }, /spec_url/],
    [{ spec, timeout: 1 }, /timeout/],
    [{ spec, rejection_status_code: 200 }, /rejection_status_code/],
    [{ spec, max_req_body_size: 0 }, /max_req_body_size/],
    [{ spec, verbose_errors: 'yes' }, /verbose_errors/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config).slice(0, 60), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
