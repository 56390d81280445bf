import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const body = async (config: object, response: object = { body: 'x' }) =>
  (await runPolicy(policy, { config, response })).answer.body

test('texts before, after and in place of the body', async () => {
  assert.equal(await body({ before_body: '<' }), '<x')
  assert.equal(await body({ after_body: '>' }), 'x>')
  assert.equal(await body({ before_body: '<', after_body: '>' }, {}), '<>')
  assert.equal(await body({ before_body: '<', body: 'new ü', after_body: '>' }), '<new ü>')
})

test('fields of the answer; those about the body go', async () => {
  const { answer } = await runPolicy(policy, {
    config: { body: 'x', headers: { Location: '/', 'X-Number': 1 } },
    response: { headers: { ETag: '"1"', 'Content-Encoding': 'gzip', 'Last-Modified': 'x', 'X-Other': '2' } },
  })
  assert.deepEqual(answer.headers, { 'x-other': '2', location: '/', 'x-number': '1' })
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /.+/],
    [{ headers: { a: 'b' } }, /.+/],
    [{ after_body: 1 }, /after_body/],
    [{ before_body: 1 }, /before_body/],
    [{ body: 1 }, /body/],
    [{ body: 'x', headers: {} }, /headers/],
    [{ body: 'x', headers: { a: true } }, /.+/],
    [{ body: 'x', headers: { 'Content-Length': 1 } }, /own to write/],
    [{ body: 'x', headers: { a: 'b\r\nc: d' } }, /control/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config }), finding))
  }
})
