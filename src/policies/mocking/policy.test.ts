import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'
import { toXml } from './xml.ts'

test('an example with variables, fields and a status', async () => {
  const { answer, upstream } = await runPolicy(policy, {
    config: {
      response_example: 'for $remote_addr ü$nothing',
      response_status: 201,
      response_headers: { 'X-Path': '$uri', 'X-Number': 2 },
    },
    request: { target: '/a' },
  })
  assert.equal(upstream, undefined)
  assert.deepEqual(answer, {
    status: 201,
    headers: { 'x-mock-by': 'sluice', 'x-path': '/a', 'x-number': '2' },
    body: 'for 203.0.113.7 ü',
  })
})

test('the mark can be left out', async () => {
  const { answer } = await runPolicy(policy, { config: { response_example: '', with_mock_header: false } })
  assert.deepEqual(answer.headers, {})
})

test('values are made up for a schema, or taken from its examples', async () => {
  const properties = {
    text: { type: 'string' },
    fixed: { type: 'string', example: 'x' },
    number: { type: 'number', example: 5.5 },
    wrong: { type: 'number', example: '5' },
    integer: { type: 'integer', example: 2.9 },
    flag: { type: 'boolean', example: false },
    list: { type: 'array', items: { type: 'boolean' } },
    empty: { type: 'array' },
    map: { type: 'object' },
  }
  const { answer } = await runPolicy(policy, { config: { response_schema: { type: 'object', properties } } })
  const made = JSON.parse(answer.body)
  assert.match(made.text, /^[a-z]{1,10}$/)
  assert.equal(typeof made.wrong, 'number')
  assert.ok(made.list.length >= 1 && made.list.length <= 3)
  assert.deepEqual(
    { ...made, text: 0, wrong: 0, list: 0 },
    {
      text: 0,
      fixed: 'x',
      number: 5.5,
      wrong: 0,
      integer: 2,
      flag: false,
      list: 0,
      map: {},
    },
  )
})

test('a schema becomes XML where the type says so', async () => {
  const { answer, verdict } = await runPolicy(policy, {
    config: {
      content_type: 'text/xml; charset=utf-8',
      response_schema: { properties: { a: { type: 'string', example: '<&>' } } },
    },
  })
  assert.equal(answer.body, '<data><a>&lt;&amp;&gt;</a></data>')
  assert.equal(verdict?.contentType, 'text/xml; charset=utf-8')
  assert.equal(toXml({ 'a b': [1, 2], '9': {} }, 'x'), '<x><_9></_9><a_b>1</a_b><a_b>2</a_b></x>')
})

suite('the configuration', () => {
  const deep = (levels: number): object =>
    levels === 0 ? { type: 'string' } : { type: 'array', items: deep(levels - 1) }
  const refused: [object, RegExp][] = [
    [{}, /.+/],
    [{ response_example: 1 }, /response_example/],
    [{ response_example: '', content_type: 'image/png' }, /unsupported content type!/],
    [{ response_example: '', content_type: 'text/plain;\r\nX: y' }, /unsupported content type!/],
    [{ response_example: '', delay: -1 }, /delay/],
    [{ response_example: '', response_status: 100 }, /response_status/],
    [{ response_example: '', with_mock_header: 1 }, /with_mock_header/],
    [{ response_example: '', response_headers: { Connection: 'x' } }, /own to write/],
    [{ response_schema: 'x' }, /response_schema/],
    [{ response_schema: { properties: { a: {} } } }, /properties\.a\.type/],
    [{ response_schema: { properties: { a: deep(40) } } }, /levels deep/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config).slice(0, 80), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})

test('an answer waits, and no longer than its client', async () => {
  const bound = bindPolicy(policy, { config: { response_example: 'late', delay: 2 } })
  const begun = bound.begin()
  let verdict: unknown
  begun.verdict.then((result) => {
    verdict = result
  })
  bound.advance(1999)
  await Promise.resolve()
  assert.equal(verdict, undefined)
  bound.advance(1)
  assert.equal((await begun.verdict)?.body, 'late')

  const left = bound.begin()
  left.end('client_abort')
  await left.verdict
})
