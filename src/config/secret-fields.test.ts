import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { PathSegment } from './problem.ts'
import { type Configured, SecretFields } from './secret-fields.ts'
import { Type } from './type.ts'

const key = Type.Object({ key: Type.String({ 'x-secret': true }), id: Type.String() })
const hooks = Type.Object({
  hooks: Type.Array(
    Type.Object({ url: Type.String(), signature: Type.Optional(Type.String({ 'x-secret': true })) }),
  ),
  either: Type.Optional(
    Type.Union([Type.String(), Type.Object({ hidden: Type.String({ 'x-secret': true }) })]),
  ),
  vault: Type.Optional(Type.Object({ any: Type.String() }, { 'x-secret': true })),
})
const metadata = Type.Object({ pepper: Type.String({ 'x-secret': true }) })
const secrets = new SecretFields(
  new Map([
    [
      'door',
      {
        name: 'door',
        configSchema: Type.Object({ key: Type.String() }),
        credentialSchema: key,
        identify: true,
      },
    ],
    ['call', { name: 'call', configSchema: hooks, metadataSchema: metadata, identify: false }],
  ]),
)
const route: Configured = { kind: 'routes', id: 'a' }
const consumer: Configured = { kind: 'consumers', id: 'jack' }

suite('secrets of a configuration', () => {
  const cases: [title: string, resource: Configured, path: PathSegment[], secret: boolean][] = [
    ['a credential on a consumer', consumer, ['plugins', 'door', 'key'], true],
    ['what identifies it is none', consumer, ['plugins', 'door', 'id'], false],
    ['a credential by its id', consumer, ['credentials', 'phone', 'plugins', 'door', 'key'], true],
    ['a credential by its place', consumer, ['credentials', 0, 'plugins', 'door', 'key'], true],
    ['the same name on a route means something else', route, ['plugins', 'door', 'key'], false],
    ['a field inside a list', route, ['plugins', 'call', 'hooks', 3, 'signature'], true],
    ['its neighbour', route, ['plugins', 'call', 'hooks', 3, 'url'], false],
    ['a field of one branch of a choice', route, ['plugins', 'call', 'either', 'hidden'], true],
    ['everything inside a secret map', route, ['plugins', 'call', 'vault', 'any'], true],
    [
      'a name that says it, of a policy that is not known',
      route,
      ['plugins', 'mine', 'redis_password'],
      true,
    ],
    ['in camel case', route, ['plugins', 'mine', 'clientSecret'], true],
    ['a name that only sounds like it', route, ['plugins', 'mine', 'token_endpoint'], false],
    ['metadata', { kind: 'plugin_metadata', id: 'call' }, ['pepper'], true],
    ['an ordinary field', route, ['uris'], false],
    ['what a secret manager is shown', { kind: 'secrets', id: 'aws/1' }, ['access_key_id'], true],
    ['where a secret manager is', { kind: 'secrets', id: 'vault/1' }, ['uri'], false],
    ['TLS keys of an inline upstream', route, ['upstream', 'tls', 'client_key'], true],
  ]
  for (const [title, resource, path, secret] of cases) {
    test(title, () => assert.equal(secrets.has(resource, path), secret))
  }

  test('are replaced wherever they stand, and nothing else is', () => {
    const value = {
      uris: ['/a'],
      plugins: {
        call: {
          hooks: [{ url: 'https://me:sesame@example.com/x', signature: 'abc' }],
          vault: { any: 'thing', more: 1 },
        },
        door: { key: 'header' },
      },
    }
    assert.deepEqual(secrets.redact(route, value), {
      uris: ['/a'],
      plugins: {
        call: {
          hooks: [{ url: 'https://me:<redacted>@example.com/x', signature: '<redacted>' }],
          vault: { any: '<redacted>', more: '<redacted>' },
        },
        door: { key: 'header' },
      },
    })
    assert.equal(value.plugins.call.hooks[0]!.signature, 'abc')
  })

  test('a reference to a secret is shown: it says where, not what', () => {
    const at = ['plugins', 'door', 'key']
    assert.equal(secrets.redact(consumer, '$secret://vault/1/jack/key', at), '$secret://vault/1/jack/key')
    assert.equal(secrets.redact(consumer, '$env://JACK', at), '$env://JACK')
  })
})
