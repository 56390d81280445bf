import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const onVersion = { match: [['http_x_version', '==', '2']], actions: [{ set_headers: { 'X-Label': 'two' } }] }

test('the first rule that matches decides', async () => {
  const { run } = bindPolicy(policy, {
    config: { rules: [onVersion, { actions: [{ set_headers: { 'X-Label': 'any' } }] }] as never },
  })
  assert.equal(
    (await run({ headers: { 'x-version': '2', 'X-Label': 'mine' } })).upstream?.headers['x-label'],
    'two',
  )
  assert.equal((await run()).upstream?.headers['x-label'], 'any')
})

test('where none matches nothing is changed', async () => {
  const { run } = bindPolicy(policy, { config: { rules: [onVersion] as never } })
  assert.equal((await run({ headers: { 'X-Label': 'mine' } })).upstream?.headers['x-label'], 'mine')
})

test('actions have their shares, and one that is only a weight does nothing', async () => {
  const actions = [
    { set_headers: { 'X-Label': 'a' }, weight: 2 },
    { set_headers: { 'X-Label': 'b' } },
    { weight: 1 },
  ]
  const { run } = bindPolicy(policy, { config: { rules: [{ actions }] as never } })
  const labels: (string | undefined)[] = []
  for (let n = 0; n < 8; n++) labels.push((await run()).upstream?.headers['x-label'])
  assert.deepEqual(labels.map(String).sort(), ['a', 'a', 'a', 'a', 'b', 'b', 'undefined', 'undefined'])
})

test('texts take variables; without a value there is no field; Host is the host of the request', async () => {
  const fields = {
    'X-From': '$remote_addr',
    'X-None': '$http_nothing',
    Host: 'labelled.example',
    'X-Number': 2,
  }
  const { run } = bindPolicy(policy, { config: { rules: [{ actions: [{ set_headers: fields }] }] as never } })
  const { upstream } = await run({ headers: { 'X-None': 'mine' } })
  assert.deepEqual(
    [upstream?.headers['x-from'], upstream?.headers['x-none'], upstream?.host, upstream?.headers['x-number']],
    ['203.0.113.7', undefined, 'labelled.example', '2'],
  )
})

test('a value that would break the message denies the request', async () => {
  const { run } = bindPolicy(policy, {
    config: { rules: [{ actions: [{ set_headers: { X: '$evil' } }] }] as never },
    variables: { evil: 'a\r\nb: c' },
  })
  await assert.rejects(run())
})

suite('findings', () => {
  const wrong: [string, object, RegExp][] = [
    ['no rules', {}, /rules/],
    ['an empty list', { rules: [] }, /rules/],
    ['no actions', { rules: [{}] }, /actions/],
    ['none of them', { rules: [{ actions: [] }] }, /actions/],
    [
      'a condition',
      { rules: [{ match: [['a', 'is', 1]], actions: [{}] }] },
      /failed to validate the 'match' expression/,
    ],
    ['another action', { rules: [{ actions: [{ jump: 1 }] }] }, /not supported action: jump/],
    ['a weight', { rules: [{ actions: [{ weight: 0 }] }] }, /weight/],
    ['no fields', { rules: [{ actions: [{ set_headers: {} }] }] }, /set_headers/],
    [
      'a field of the message',
      { rules: [{ actions: [{ set_headers: { 'Content-Length': '1' } }] }] },
      /'set_headers' action/,
    ],
    ['a name', { rules: [{ actions: [{ set_headers: { 'a b': '1' } }] }] }, /invalid field character/],
  ]
  for (const [name, config, finding] of wrong) {
    test(name, () => {
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding)
    })
  }
})
