import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, type FakeRequest } from '../kit/testing.ts'
import policy from './policy.ts'

const statusFor = async (config: object, request: FakeRequest) =>
  (await bindPolicy(policy, { config }).run(request)).answer.status
const consumer = (labels?: Record<string, string>): FakeRequest => ({
  consumer: 'jack',
  ...(labels && { labels }),
})

test('labels of the consumer decide, however their values are written', async () => {
  const allow = { allow_labels: { project: ['infra'] } }
  for (const value of ['infra', 'qa, infra', '["qa","infra"]']) {
    assert.equal(await statusFor(allow, consumer({ project: value })), 200, value)
    assert.equal(
      await statusFor({ deny_labels: { project: ['infra'] } }, consumer({ project: value })),
      403,
      value,
    )
  }
  for (const value of ['infra2', 'Infra', '[infra', '{"infra":1}', 'qa|infra']) {
    assert.equal(await statusFor(allow, consumer({ project: value })), 403, value)
  }
  assert.equal(await statusFor(allow, consumer()), 403)
  assert.equal(await statusFor({ allow_labels: { constructor: ['x'] } }, consumer({ a: 'x' })), 403)
})

test('what is denied is not allowed', async () => {
  const config = { allow_labels: { team: ['a'] }, deny_labels: { state: ['left'] } }
  assert.equal(await statusFor(config, consumer({ team: 'a', state: 'left' })), 403)
  assert.equal(await statusFor(config, consumer({ team: 'a' })), 200)
})

suite('a user who is no consumer', () => {
  const allow = (settings: object = {}) => ({ allow_labels: { groups: ['ops'] }, ...settings })
  const user = (externalUser: Record<string, unknown>) => ({ externalUser })

  test('is known by the field that a path leads to', async () => {
    assert.equal(await statusFor(allow(), user({ groups: ['dev', 'ops'] })), 200)
    assert.equal(await statusFor(allow(), user({ groups: 'ops' })), 200)
    assert.equal(await statusFor(allow(), user({ groups: 7 })), 403)
    assert.equal(await statusFor(allow(), user({})), 403)
    const deep = { external_user_label_field: '$..orgs[*].name', external_user_label_field_key: 'groups' }
    assert.equal(await statusFor(allow(deep), user({ a: { orgs: [{ name: 'x' }, { name: 'ops' }] } })), 200)
  })

  test('has values in the form of the parser', async () => {
    const text = {
      external_user_label_field_parser: 'segmented_text',
      external_user_label_field_separator: '\\|',
    }
    assert.equal(await statusFor(allow(text), user({ groups: 'dev | ops' })), 200)
    assert.equal(await statusFor(allow(text), user({ groups: 'dev , ops' })), 403)
    assert.equal(await statusFor(allow(text), user({ groups: ['ops'] })), 403)
    const json = { external_user_label_field_parser: 'json' }
    assert.equal(await statusFor(allow(json), user({ groups: '["ops"]' })), 200)
    assert.equal(await statusFor(allow(json), user({ groups: '["ops"' })), 403)
    assert.equal(await statusFor(allow(json), user({ groups: 'ops' })), 403)
    const table = { external_user_label_field_parser: 'table' }
    assert.equal(await statusFor(allow(table), user({ groups: ['ops'] })), 200)
    assert.equal(await statusFor(allow(table), user({ groups: 'ops' })), 403)
  })

  test('is denied for a value inside one of several matches', async () => {
    const config = {
      deny_labels: { groups: ['ops'] },
      external_user_label_field: '$..g',
      external_user_label_field_key: 'groups',
      external_user_label_field_parser: 'segmented_text',
      external_user_label_field_separator: ';',
    }
    assert.equal(await statusFor(config, user({ a: { g: 'dev' }, b: { g: 'qa;ops' } })), 403)
    assert.equal(await statusFor(config, user({ a: { g: 'dev' }, b: { g: ['ops'] } })), 403)
    assert.equal(await statusFor(config, user({ a: { g: 'dev' }, b: { g: 'qa' } })), 200)
  })
})

test('the answers', async () => {
  const { run } = bindPolicy(policy, { config: { allow_labels: { a: ['b'] } } })
  assert.deepEqual((await run()).verdict, { status: 401, body: { message: 'Missing authentication.' } })
  assert.deepEqual((await run({ consumer: 'jack' })).verdict, {
    status: 403,
    body: { message: 'The consumer is forbidden.' },
  })
  const own = bindPolicy(policy, {
    config: { allow_labels: { a: ['b'] }, rejected_code: 404, rejected_msg: 'no' },
  })
  assert.deepEqual((await own.run({ consumer: 'jack' })).verdict, { status: 404, body: { message: 'no' } })
})

suite('the configuration', () => {
  const allow = { allow_labels: { a: ['b'] } }
  for (const wrong of [
    {},
    { allow_labels: {} },
    { allow_labels: { a: [] } },
    { deny_labels: { a: 'b' } },
    { ...allow, external_user_label_field: '$[' },
    { ...allow, external_user_label_field_key: '' },
    { ...allow, external_user_label_field_parser: 'xml' },
    { ...allow, external_user_label_field_parser: 'segmented_text' },
    { ...allow, external_user_label_field_separator: '(' },
    { ...allow, rejected_code: 1 },
    { ...allow, rejected_msg: {} },
    { ...allow, labels: {} },
  ]) {
    test(`${JSON.stringify(wrong)} is refused`, () => {
      assert.throws(() => bindPolicy(policy, { config: wrong as object }))
    })
  }
})
