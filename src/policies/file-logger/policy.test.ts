import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('an entry is a line of JSON', async () => {
  const bound = bindPolicy(policy, { config: { path: 'logs/access.log' } })
  await bound.run({ headers: { 'x-a': 'b' } })
  assert.equal(JSON.parse(bound.lines[0]!).request.headers['x-a'], 'b')
})

test('an exchange is logged when one of the conditions holds', async () => {
  const match = [[['request_method', '==', 'POST']], [['arg_log', '==', 'yes']]]
  const bound = bindPolicy(policy, { config: { path: 'a.log', match } })
  await bound.run()
  await bound.run({ method: 'POST' })
  assert.equal(bound.lines.length, 1)
})

test('the path of the metadata is used where the configuration has none; without either nothing is written', async () => {
  const bound = bindPolicy(policy, { metadata: { path: 'm.log' } })
  await bound.run()
  assert.equal(bound.lines.length, 1)
  const none = bindPolicy(policy)
  await none.run()
  assert.deepEqual([none.lines, none.logged], [[], ['there is no file to write entries to']])
})

for (const path of [
  '/etc/passwd',
  '/proc/self/mem',
  '/dev/sda',
  '../up.log',
  'a/../../b',
  '//etc//x',
  '/./etc/x',
  '',
]) {
  test(`the path ${JSON.stringify(path)} is refused, from metadata too`, () => {
    assert.throws(() => bindPolicy(policy, { config: { path } }), /path: must/)
    assert.deepEqual(bindPolicy(policy, { metadata: { path } }).handlers, {})
  })
}

for (const path of ['/dev/stdout', '/var/log/x.log', 'x', '/etcetera/x']) {
  test(`the path ${path} is taken`, () => {
    bindPolicy(policy, { config: { path } })
  })
}

for (const config of [{ path: 1 }, { path: 'a', match: [[['a', '<>', 1]]] }, { path: 'a', match: 'x' }]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /match|path/)
  })
}
