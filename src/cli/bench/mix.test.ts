import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { UsageError } from '../command.ts'
import { type LoadRequest, parseMix, picker } from './mix.ts'

const base: LoadRequest = {
  method: 'GET',
  path: '/orders',
  headers: { Accept: '*/*', apikey: 'none' },
  body: null,
  weight: 1,
}

suite('a mix of requests', () => {
  test('each line changes what it names and takes the rest from the command line', () => {
    const mix = parseMix(
      '{"headers":{"ApiKey":"one"}}\n\n{"method":"post","path":"/orders?x=1","body":{"id":7},"weight":3}\n',
      base,
    )
    assert.deepEqual(mix, [
      { ...base, headers: { Accept: '*/*', ApiKey: 'one' } },
      { ...base, method: 'POST', path: '/orders?x=1', body: Buffer.from('{"id":7}'), weight: 3 },
    ])
  })

  for (const [line, complaint] of [
    ['{"path":"http://elsewhere.example/"}', /line 1: path starts with/],
    ['{"weight":0}', /line 1: weight/],
    ['{"weigth":2}', /line 1: unknown field 'weigth'/],
    ['{"headers":{"a":1}}', /line 1: headers/],
    ['{"method":"CONNECT"}', /line 1: method/],
    ['[1]', /line 1: a JSON object/],
    ['{"path":', /line 1: /],
    ['  \n', /holds no request/],
  ] as const) {
    test(`refused, with its line: ${line.trim() || 'an empty file'}`, () => {
      assert.throws(
        () => parseMix(line, base),
        (error) => error instanceof UsageError && complaint.test(error.message),
      )
    })
  }

  test('requests are picked in proportion to their weight', (t) => {
    const [light, heavy] = [base, { ...base, path: '/heavy', weight: 3 }]
    const pick = picker([light, heavy])
    const points = [0, 0.2499, 0.25, 0.9999]
    t.mock.method(Math, 'random', () => points.shift()!)
    assert.deepEqual(
      [pick(), pick(), pick(), pick()].map(({ path }) => path),
      ['/orders', '/orders', '/heavy', '/heavy'],
    )
  })
})
