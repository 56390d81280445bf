import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { definePolicy, headerBlock, Type } from '../kit/index.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

/** Knows whoever names the value of `name` in a field. */
const byField = (name: string, later = false) =>
  definePolicy({
    name,
    summary: 'For tests.',
    stage: 'identify',
    priority: 1,
    config: Type.Object({ value: Type.String({ default: 'yes' }) }),
    create({ value }, host) {
      const headers = headerBlock([['WWW-Authenticate', name]])
      const answer = (given: string | undefined) => {
        return given === value ? undefined : { status: 401, headers }
      }
      return {
        request(exchange) {
          const verdict = answer(exchange.request.headers.get(name))
          if (!verdict) exchange.identify(host.consumers.find('jack')!, '')
          return later ? Promise.resolve(verdict) : verdict
        },
      }
    },
  })

const policies = [byField('one'), byField('two', true), byField('three')] as never[]
const bind = (...plugins: object[]) =>
  bindPolicy(policy, {
    config: { auth_plugins: plugins as never },
    policies,
    consumers: [{ username: 'jack' }],
  })

test('the first policy that knows the caller ends the search', async () => {
  const { run } = bind({ one: {} }, { two: { value: 'maybe' } }, { three: {} })
  for (const headers of [{ one: 'yes' }, { two: 'maybe' }, { three: 'yes' }]) {
    assert.equal((await run({ headers: headers as Record<string, string> })).consumer, 'jack')
  }
})

test('when none does, the answer is 401 with the challenge of the last', async () => {
  const { answer, upstream, consumer } = await bind({ one: {}, two: {} }, { three: {} }).run({
    headers: { one: 'no' },
  })
  assert.deepEqual([answer.status, answer.body], [401, '{"message":"Authorization Failed"}\n'])
  assert.equal(answer.headers['www-authenticate'], 'three')
  assert.deepEqual([upstream, consumer], [undefined, undefined])
})

test('it names the configurations that are checked as those of the policies inside', () => {
  const plugins = [{ one: { value: 'x' } }, { two: {} }]
  assert.deepEqual(policy.nested?.({ auth_plugins: plugins as never }), [
    { path: ['auth_plugins', 0], plugins: plugins[0], identify: true },
    { path: ['auth_plugins', 1], plugins: plugins[1], identify: true },
  ])
})

suite('the configuration', () => {
  for (const wrong of [
    {},
    { auth_plugins: {} },
    { auth_plugins: [{ one: {} }] },
    { auth_plugins: ['one', 'two'] },
    { auth_plugins: [{ one: {} }, { two: {} }], realm: 'x' },
  ]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: wrong as object, policies }))
    })
  }
})
