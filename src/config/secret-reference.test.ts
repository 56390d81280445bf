import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  holdsSecretReference,
  isSecretReference,
  memberOf,
  parseSecretReference,
  replaceSecretReferences,
  secretReferencesIn,
} from './secret-reference.ts'

suite('references to secrets', () => {
  const references: [text: string, parsed: object][] = [
    ['$env://NAME', { kind: 'environment', variable: 'NAME' }],
    ['$ENV://NAME', { kind: 'environment', variable: 'NAME' }],
    ['$Env://NAME/key', { kind: 'environment', variable: 'NAME', key: 'key' }],
    ['$env://NAME/a/b', { kind: 'environment', variable: 'NAME', key: 'a/b' }],
    ['$secret://vault/1/jack/auth-key', { kind: 'managed', manager: 'vault/1', key: 'jack/auth-key' }],
    ['$secret://aws/prod/name', { kind: 'managed', manager: 'aws/prod', key: 'name' }],
  ]
  for (const [text, parsed] of references) {
    test(text, () => {
      assert.ok(isSecretReference(text))
      assert.deepEqual(parseSecretReference(text), parsed)
    })
  }

  for (const text of [
    '$env://',
    '$secret://',
    '$secret://vault',
    '$secret://vault/1',
    '$secret://vault/1/',
    '$secret://vault//key',
    '$secret:///1/key',
    '$secret://vault/1/a//b',
    '$secret://vault/1/../b',
    '$secret://vault/1/a/.',
  ]) {
    test(`${text} is one that leads nowhere`, () => {
      assert.ok(isSecretReference(text))
      assert.ok('problem' in parseSecretReference(text))
    })
  }

  for (const text of ['', '$', 'env://X', ' $env://X', '$environment', '$SECRET://vault/1/a', '$host']) {
    test(`${JSON.stringify(text)} is none`, () => assert.equal(isSecretReference(text), false))
  }

  test('are found at any depth with their place, and replaced on a copy', () => {
    const value = { a: ['x', '$env://A'], b: { c: '$secret://v/1/k', d: 7 }, e: { f: 'plain' } }
    assert.deepEqual(
      [...secretReferencesIn(value)].map(({ text, path }) => [text, path.join('.')]),
      [
        ['$env://A', 'a.1'],
        ['$secret://v/1/k', 'b.c'],
      ],
    )
    assert.ok(holdsSecretReference(value))
    const replaced = replaceSecretReferences(value, (text) => text.toUpperCase()) as typeof value
    assert.deepEqual(replaced, { a: ['x', '$ENV://A'], b: { c: '$SECRET://V/1/K', d: 7 }, e: { f: 'plain' } })
    assert.equal(replaced.e, value.e)
    assert.equal(value.a[1], '$env://A')
  })

  test('leave a value that holds none as it is', () => {
    const value = { a: [1, null, 'x'] }
    assert.equal(holdsSecretReference(value), false)
    assert.equal(replaceSecretReferences(value, assert.fail), value)
  })
})

test('members of JSON are texts, numbers and truth values of its own', () => {
  const json = '{"text":"a","number":7,"flag":false,"null":null,"map":{},"list":[1]}'
  assert.deepEqual(
    ['text', 'number', 'flag', 'null', 'map', 'list', 'none', 'toString'].map((key) => memberOf(json, key)),
    ['a', '7', 'false', undefined, undefined, undefined, undefined, undefined],
  )
  assert.equal(memberOf('no json', 'a'), undefined)
  assert.equal(memberOf('null', 'a'), undefined)
})
