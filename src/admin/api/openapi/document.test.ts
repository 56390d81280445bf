import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { nodeOf } from '../../../config/schema/node.ts'
import { validate } from '../../../config/schema/validation.ts'
import { catalogue, policySchemas } from '../../../policies/index.ts'
import { adminKinds } from '../kinds.ts'
import { openApi } from './document.ts'

type Json = Record<string, unknown>

/** As clients get it. */
const document = JSON.parse(JSON.stringify(openApi(policySchemas(catalogue), '1.2.3')))
const { schemas } = document.components

/** Every object in a value, itself included, with where it stands. */
function* objectsIn(value: unknown, place = '#'): Generator<[place: string, object: Json]> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield [place, value as Json]
  for (const [key, inner] of Object.entries(value)) {
    yield* objectsIn(inner, `${place}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
  }
}

function target(reference: string): unknown {
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>(
      (at, name) => (at as Json | undefined)?.[name.replaceAll('~1', '/').replaceAll('~0', '~')],
      document,
    )
}

suite('the OpenAPI document', () => {
  test('is one of version 3.1, of this gateway', () => {
    assert.equal(document.openapi, '3.1.0')
    assert.equal(document.info.version, '1.2.3')
    assert.deepEqual(Object.keys(document), ['openapi', 'info', 'servers', 'security', 'paths', 'components'])
  })

  test('refers only to what it holds', () => {
    let count = 0
    for (const [place, { $ref }] of objectsIn(document)) {
      if (typeof $ref !== 'string') continue
      count++
      assert.ok($ref.startsWith('#/'), place)
      assert.notEqual(target($ref), undefined, `${place} refers to ${$ref}`)
    }
    assert.ok(count > 100)
  })

  test('holds schemas without annotations of ours, which say what may be written', () => {
    for (const [place, object] of objectsIn(schemas)) {
      assert.deepEqual(
        Object.keys(object).filter((keyword) => keyword.startsWith('x-')),
        [],
        place,
      )
    }
    // References go into the document, so that it stands around the schema.
    const route = nodeOf({ $ref: '#/$defs/components/schemas/Route', $defs: { components: local() } })
    assert.deepEqual(
      validate(route, { uri: '/a', plugins: { 'key-auth': { _meta: { disable: true } } } }),
      [],
    )
    assert.equal(validate(route, { uri: '/a', plugins: { 'key-auth': { header: 1 } } }).length, 1)
    assert.equal(validate(route, { uri: '/a', upstream: { nodes: 1 } }).length, 1)
    const consumer = nodeOf({ $ref: '#/$defs/components/schemas/Consumer', $defs: { components: local() } })
    assert.deepEqual(validate(consumer, { username: 'a', plugins: { 'key-auth': { key: 'b' } } }), [])
  })

  test('has each kind of resource with what may be done to it', () => {
    for (const { name, refused } of adminKinds.values()) {
      const owners: Record<string, string> = {
        credentials: '/consumers/{username}',
        graphql_cost_decorations: '/services/{service_id}',
      }
      const base = `${owners[name] ?? ''}/${name}`
      assert.ok(document.paths[base].get, base)
      assert.equal('post' in document.paths[base], !refused.includes('post'), base)
      const [item, operations] = Object.entries<Json>(document.paths).find(
        ([path]) =>
          path.startsWith(`${base}/{`) && !path.includes('credentials') === (name !== 'credentials'),
      )!
      assert.ok(operations.get && operations.delete, item)
      assert.equal('patch' in operations, !refused.includes('patch'), item)
    }
  })

  test('declares the parameters of every path', () => {
    for (const [path, item] of Object.entries<Json>(document.paths)) {
      const declared = ((item.parameters ?? []) as { $ref: string }[]).map(({ $ref }) =>
        $ref.split('/').at(-1),
      )
      assert.deepEqual(
        declared,
        [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
        path,
      )
    }
  })

  test('names every operation once, and tells how each may end', () => {
    const names = new Set<string>()
    for (const [path, item] of Object.entries<Json>(document.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        if (verb === 'parameters') continue
        const { operationId, responses, summary } = operation as Json & { operationId: string }
        assert.ok(!names.has(operationId), operationId)
        names.add(operationId)
        assert.ok(summary && Object.keys(responses as Json).length > 0, `${verb} ${path}`)
      }
    }
    assert.ok(names.size > 60)
  })
})

/** The components with references that hold where they are put here. */
function local(): Json {
  return JSON.parse(
    JSON.stringify(document.components).replaceAll('"#/components/', '"#/$defs/components/'),
  ) as Json
}
