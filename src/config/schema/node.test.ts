import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { catalogue, policySchemas } from '../../policies/index.ts'
import { copy } from '../copy.ts'
import { credentialSchema, metaSchema, resourceSchemas } from '../resources.ts'
import { gatewaySchema } from '../settings.ts'
import { type Node, nodeOf } from './node.ts'
import { validate } from './validation.ts'

const every: [string, object][] = [
  ...Object.entries(resourceSchemas),
  ['gateway', gatewaySchema],
  ['_meta', metaSchema],
  ['credentials', credentialSchema],
  ...[...policySchemas(catalogue)].flatMap(([name, { configSchema, credentialSchema, metadataSchema }]) =>
    Object.entries({ configSchema, credentialSchema, metadataSchema }).flatMap(
      ([part, schema]): [string, object][] => (schema === undefined ? [] : [[`${name} ${part}`, schema]]),
    ),
  ),
]

suite('every schema of the gateway', () => {
  for (const [name, schema] of every) {
    test(`${name} is understood, and fitted by its own defaults`, () => {
      const seen = new Set<Node>()
      checkDefaults(nodeOf(schema), seen)
      assert.ok(seen.size > 1)
    })
  }
})

function checkDefaults(node: Node, seen: Set<Node>): void {
  if (seen.has(node)) return
  seen.add(node)
  for (const { name, value } of node.maps?.defaults ?? []) {
    assert.deepEqual(validate(node.maps!.properties.get(name)!, copy(value)), [], name)
  }
  const inner = [
    ...(node.maps?.properties.values() ?? []),
    ...(node.maps?.patterns.map(({ node }) => node) ?? []),
    ...[node.maps?.additional, node.lists?.items],
    ...(node.any?.anyOf ?? []),
    ...(node.any?.oneOf ?? []),
    ...(node.any?.allOf ?? []),
  ]
  for (const below of inner) if (below !== undefined) checkDefaults(below, seen)
}

suite('a schema that is not understood', () => {
  const mistakes: [string, unknown, RegExp][] = [
    ['a keyword', { type: 'string', minimun: 1 }, /the schema at # has the keyword minimun, which is not/],
    [
      'a keyword far down',
      { properties: { a: { items: { contains: {} } } } },
      /at #\/properties\/a\/items has the keyword contains/,
    ],
    ['a type', { type: 'text' }, /the type text, which does not exist/],
    ['a format', { format: 'date-time' }, /the format date-time, which is not supported/],
    ['a pattern', { pattern: '(' }, /a pattern that is not valid/],
    ['a list of schemas for items', { items: [{}] }, /at #\/items is no schema/],
    ['a single branch', { anyOf: {} }, /must be a list/],
    ['properties in a list', { properties: [] }, /at #\/properties must be a map/],
    ['a schema that is none', { additionalProperties: 'no' }, /at #\/additionalProperties is no schema/],
    ['a reference to elsewhere', { $ref: 'other.json' }, /a reference that leads out of the schema/],
    ['a reference to nothing', { $ref: '#/$defs/x' }, /the reference #\/\$defs\/x, which leads nowhere/],
  ]
  for (const [what, schema, message] of mistakes) {
    test(`says so when it is first used: ${what}`, () => {
      assert.throws(() => nodeOf(schema as object), message)
      assert.throws(() => nodeOf(schema as object), message, 'and again')
    })
  }

  test('annotations, ours and those of JSON Schema, are no keywords', () => {
    assert.doesNotThrow(() =>
      nodeOf({ title: 'a', deprecated: true, 'x-form': 'a', $comment: 'a', examples: [] }),
    )
  })
})
