import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import { refusals } from '../kit/threats/testing.ts'
import policy from './policy.ts'

const limits = {
  max_container_depth: 2,
  max_object_entry_count: 2,
  max_object_entry_name_length: 3,
  max_array_element_count: 2,
  max_string_value_length: 4,
}
const send = (
  body: string,
  headers: object = { 'Content-Type': 'application/json' },
  config: object = limits,
) => runPolicy(policy, { config, request: { method: 'POST', headers: headers as never, body } })

suite('what is within the limits goes on as it is', () => {
  for (const body of [
    '{"a":[1,2],"abc":"1234"}',
    ' "\\u0061\\n\\t\\"" ',
    '[[],{}]',
    '"😀😀"',
    '-0.5e+3',
    'null',
  ]) {
    test(body, async () => {
      const { upstream } = await send(body)
      assert.equal(upstream?.body, Buffer.from(body).toString('latin1'))
    })
  }
})

suite('what is not is rejected, and said', () => {
  refusals(send, [
    ['[[[]]]', 'it is nested too deeply'],
    ['{"a":1,"b":2,"c":3}', 'an object has too many entries'],
    ['{"abcd":1}', 'the name of an entry is too long'],
    ['[1,2,3]', 'an array has too many elements'],
    ['"12345"', 'a string is too long'],
    ['"😀😀a"', 'a string is too long'],
    ['{"a":1,"a":2}', 'two entries of an object have one name'],
    ['{"a":1,"\\u0061":2}', 'two entries of an object have one name'],
    ['{"é":1,"\\u00e9":2}', 'two entries of an object have one name'],
    ['{"a":1}{', 'it is not JSON'],
    ['{"a":01}', 'it is not JSON'],
    ["{'a':1}", 'it is not JSON'],
    ['[1,]', 'it is not JSON'],
    ['{"a"', 'it is not JSON'],
    ['\ufeff{}', 'it is not JSON'],
    ['{\0"\0a\0', 'it is not JSON'],
  ])
})

test('nesting costs the gateway nothing, however deep it is', async () => {
  assert.equal((await send('['.repeat(1_000_000), undefined, {})).answer.status, 400)
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  assert.ok((await send(deep, undefined, {})).upstream)
})

suite('types', () => {
  const body = '[[[]]]'
  for (const type of ['text/json', 'application/hal+json; charset="UTF-8"', 'APPLICATION/JSON', '']) {
    test(`${type || 'none'} is read`, async () => {
      assert.equal((await send(body, type === '' ? {} : { 'content-type': type })).answer.status, 400)
    })
  }

  test('others pass, unless every type is read', async () => {
    assert.ok((await send(body, { 'content-type': 'text/plain' })).upstream)
    const config = { ...limits, every_type: true }
    assert.equal((await send(body, { 'content-type': 'text/plain' }, config)).answer.status, 400)
  })

  test('what cannot be read is rejected', async () => {
    const json = ['content-type', 'application/json']
    const two = [json, ['Content-Type', 'text/plain']]
    for (const headers of [
      two,
      [json, ['content-encoding', 'gzip']],
      { 'content-type': 'application/json; charset=utf-16' },
    ]) {
      assert.equal((await send('{}', headers)).answer.status, 400)
    }
  })
})

test('equal names may be allowed', async () => {
  assert.ok((await send('{"a":1,"a":2}', undefined, { allow_equal_names: true })).upstream)
})

test('a rejection says what it is told to say', async () => {
  const { answer } = await send('[', undefined, { rejected_code: 422, rejected_msg: 'no' })
  assert.deepEqual([answer.status, answer.body], [422, '{"message":"no"}\n'])
})

test('a body beyond the limit is 413, and none passes', async () => {
  assert.equal((await send('"12345"', undefined, { max_req_body_size: 6 })).answer.status, 413)
  assert.ok((await runPolicy(policy, { config: limits })).upstream)
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    ...Object.keys(limits).map((name): [object, RegExp] => [{ [name]: -2 }, new RegExp(name)]),
    [{ max_container_depth: '2' }, /max_container_depth/],
    [{ allow_equal_names: 1 }, /allow_equal_names/],
    [{ every_type: 'x' }, /every_type/],
    [{ max_req_body_size: 0 }, /max_req_body_size/],
    [{ rejected_code: 200 }, /rejected_code/],
    [{ rejected_msg: '' }, /rejected_msg/],
    [{ maxContainerDepth: 1 }, /maxContainerDepth/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
