import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { nodeOf } from './node.ts'
import { validate } from './validation.ts'

const check = (schema: object, value: unknown) =>
  validate(nodeOf(schema), value).map(({ keyword, path, property }) =>
    [keyword, path.join('.'), property].filter((part) => part !== undefined && part !== '').join(' '),
  )

/** `[[[...]]]` or `{ a: { a: ... } }`. */
function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = wrap(value)
  return value
}
const lists = (depth: number) => nested(depth, (inner) => [inner])
const maps = (depth: number) => nested(depth, (inner) => ({ a: inner }))

suite('hostile values', () => {
  test('nesting ends in a violation where a schema follows it', () => {
    const schema = { properties: { a: { $ref: '#' } }, type: 'object' }
    assert.match(check(schema, maps(100_000)).join(), /^depth a\.a\./)
    const choice = { anyOf: [{ type: 'integer' }, { type: 'array', items: { $ref: '#' } }] }
    assert.match(check(choice, lists(100_000)).join(), /^depth 0\.0\./)
  })

  test('nesting costs no stack where it is only compared', () => {
    const unique = { uniqueItems: true }
    assert.deepEqual(check(unique, [lists(100_000), lists(100_000)]), ['uniqueItems'])
    assert.deepEqual(check(unique, [maps(100_000), maps(99_999)]), [])
    assert.deepEqual(check({ enum: [{ a: { a: 1 } }] }, maps(100_000)), ['enum'])
    assert.deepEqual(check({ const: [[1]] }, lists(100_000)), ['const'])
  })

  test('keys are nothing but keys', () => {
    const schema = {
      properties: { a: {} },
      required: ['constructor', '__proto__'],
      additionalProperties: false,
    }
    assert.deepEqual(check(schema, {}), ['required constructor', 'required __proto__'])
    const value = JSON.parse('{ "__proto__": { "a": 1 }, "constructor": 1, "hasOwnProperty": 1, "a": 1 }')
    assert.deepEqual(check(schema, value), [
      'additionalProperties __proto__',
      'additionalProperties constructor',
      'additionalProperties hasOwnProperty',
    ])
    assert.deepEqual(check({ properties: { toString: { default: 1 } } }, value), [])
    assert.ok(Object.hasOwn(value, 'toString'))
    assert.equal(({} as Record<string, unknown>).a, undefined)
  })

  test('values that JSON does not know fit no type', () => {
    for (const value of [undefined, Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, Symbol('a')]) {
      assert.deepEqual(check({ type: ['number', 'string', 'object'] }, value), ['type'])
    }
  })

  test('a long list with distinct maps is looked through once', () => {
    const list = Array.from({ length: 100_000 }, (_, index) => ({ a: index, b: [index] }))
    assert.deepEqual(check({ uniqueItems: true }, list), [])
    assert.deepEqual(check({ uniqueItems: true }, [...list, { b: [5], a: 5 }]), ['uniqueItems'])
  })

  test('a long string is not counted to its end', () => {
    const long = '\u{1f600}'.repeat(1_000_000)
    assert.deepEqual(check({ maxLength: 3 }, long), ['maxLength'])
    assert.deepEqual(check({ minLength: 3 }, long), [])
    assert.deepEqual(check({ minLength: 2, maxLength: 2 }, '\u{1f600}\u{1f600}'), [])
  })
})

suite('defaults', () => {
  test('are not shared between values', () => {
    const schema = { properties: { a: { default: { b: [] } } } }
    const [one, other] = [{}, {}] as Record<string, { b: unknown[] }>[]
    check(schema, one)
    check(schema, other)
    one!.a!.b.push(1)
    assert.deepEqual(other, { a: { b: [] } })
  })

  test('count as present for what is required', () => {
    const value = {}
    assert.deepEqual(
      check({ properties: { a: { type: 'integer', default: 1 } }, required: ['a'] }, value),
      [],
    )
    assert.deepEqual(value, { a: 1 })
  })

  test('are not filled in below a choice', () => {
    const branch = { type: 'object', properties: { a: { default: 1 } } }
    for (const schema of [
      { anyOf: [branch] },
      { oneOf: [branch] },
      { if: branch },
      { not: { not: branch } },
    ]) {
      const value = {}
      assert.deepEqual(check(schema, value), [])
      assert.deepEqual(value, {})
    }
    const value = {}
    // biome-ignore lint/suspicious/noThenProperty: it is the name of the keyword.
    const condition = { if: true, then: { properties: { b: { default: 2 } } } }
    assert.deepEqual(check({ allOf: [branch], ...condition }, value), [])
    assert.deepEqual(value, { a: 1, b: 2 })
  })
})

suite('an empty list and an empty map', () => {
  const schema = {
    type: 'object',
    properties: {
      map: { type: 'object', properties: { a: { default: 1 } } },
      list: { type: 'array', minItems: 1 },
    },
    additionalProperties: { anyOf: [{ type: 'array', items: { type: 'object' } }] },
  }

  test('are one, and become what is wanted', () => {
    const value = { map: [], other: [[]] }
    assert.deepEqual(check(schema, value), [])
    assert.deepEqual(value, { map: { a: 1 }, other: [[]] })
    assert.deepEqual(check(schema, { list: {} }), ['minItems list'])
  })

  test('are not when they hold anything, or something else is wanted', () => {
    assert.deepEqual(check(schema, { map: [1], list: { a: 1 } }), ['type map', 'type list'])
    assert.deepEqual(check({ properties: { a: { type: 'string' } } }, { a: [] }), ['type a'])
  })
})

suite('violations', () => {
  test('one mistake is one violation', () => {
    assert.deepEqual(check({ type: 'string', enum: ['a'], pattern: '^a' }, 7), ['type'])
  })

  test('stand in the order of the value', () => {
    const number = { type: 'number' }
    const schema = { properties: { a: number, b: number }, additionalProperties: number, required: ['z'] }
    assert.deepEqual(check(schema, { c: '', b: '', a: '' }), ['required z', 'type c', 'type b', 'type a'])
  })

  test('of a choice, those of the branch of the right type count, and of those the fewest', () => {
    const choice = (type: string, required: string[]) => ({ type, required })
    const oneOf = [choice('object', ['a', 'b']), choice('object', ['c']), choice('array', [])]
    assert.deepEqual(check({ oneOf }, {}), ['required c'])
    assert.deepEqual(check({ oneOf }, { a: 1, b: 1, c: 1 }), ['oneOf'])
    assert.deepEqual(check({ oneOf }, 1), ['oneOf'])
  })

  test('of names and dependencies name the property', () => {
    assert.deepEqual(check({ propertyNames: { maxLength: 1 } }, { ab: 1 }), ['propertyNames ab'])
    assert.deepEqual(check({ dependentRequired: { a: ['b'] } }, { a: 1 }), ['required b'])
    assert.deepEqual(check({ dependencies: { a: { required: ['c'] } } }, { a: 1 }), ['required c'])
  })
})
