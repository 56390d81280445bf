import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

type Config = Parameters<typeof bindPolicy<typeof policy.config, never, never>>[1]
const send = (config: object, body: unknown, target = '/v1/chat/completions') =>
  runPolicy(policy, {
    config: config as NonNullable<NonNullable<Config>['config']>,
    request: { method: 'POST', target, body: typeof body === 'string' ? body : JSON.stringify(body) },
  })
const chat = (...said: [role: string, content: unknown][]) => ({
  messages: said.map(([role, content]) => ({ role, content })),
})

suite('what passes and what does not', () => {
  const deny = { deny_patterns: ['(?i)secret'] }
  for (const [name, config, body, status] of [
    ['nothing forbidden', deny, chat(['user', 'hello']), 200],
    ['something forbidden', deny, chat(['user', 'the SECRET']), 400],
    ['forbidden in a list of parts', deny, chat(['user', [{ type: 'text', text: 'secret' }]]), 400],
    ['forbidden earlier', deny, chat(['user', 'secret'], ['user', 'x']), 200],
    [
      'forbidden earlier, all checked',
      { ...deny, match_all_conversation_history: true },
      chat(['user', 'secret'], ['user', 'x']),
      400,
    ],
    ['forbidden by another role', deny, chat(['assistant', 'secret']), 200],
    [
      'forbidden by another role, all checked',
      { ...deny, match_all_roles: true },
      chat(['assistant', 'secret']),
      400,
    ],
    ['allowed', { allow_patterns: ['^weather'] }, chat(['user', 'weather?']), 200],
    ['not allowed', { allow_patterns: ['^weather'] }, chat(['user', 'stocks?']), 400],
    ['beyond ASCII', { deny_patterns: ['Über'] }, chat(['user', 'sie Übertraf']), 400],
    ['one character is one', { deny_patterns: ['^.{2}$'] }, chat(['user', 'é😀']), 400],
    ['a class of characters', { allow_patterns: ['^[а-я😀-😎]+$'] }, chat(['user', 'да😃']), 200],
    ['not in the class', { allow_patterns: ['^[^а-я]+$'] }, chat(['user', 'нет']), 400],
    ['any case', { deny_patterns: ['(?i)straße éa'] }, chat(['user', 'STRAßE ÉA']), 400],
    ['a half of a character', { deny_patterns: ['^.$'] }, chat(['user', '\ud83d']), 400],
    ['a script', { deny_patterns: ['\\p{Han}'] }, chat(['user', '中']), 400],
    ['text in a list of inputs', deny, { input: ['x', 'secret'] }, 400],
    ['no request to a model', deny, { a: 1 }, 200],
    ['no request to a model, refused', { ...deny, fail_mode: 'error' }, { a: 1 }, 400],
    ['no JSON, refused', { ...deny, fail_mode: 'error' }, 'secret', 400],
    ['nothing at all', deny, '', 400],
    ['messages that are none', deny, { messages: [null, 1, { role: 5, content: {} }] }, 200],
  ] as const) {
    test(name, async () => {
      const run = await send(config, body)
      assert.equal(run.answer.status, status)
      assert.equal(run.upstream === undefined, status !== 200)
    })
  }
})

test('an expression that needs more than linear time, or is none, is a finding', () => {
  assert.throws(() => bindPolicy(policy, { config: { deny_patterns: ['(a'] } }), /invalid deny_pattern: \(a/)
  assert.throws(() => bindPolicy(policy, { config: { allow_patterns: ['('] } }), /invalid allow_pattern/)
})
