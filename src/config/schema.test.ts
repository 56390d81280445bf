import { suite, test } from 'node:test'
import { metaSchema, resourceSchemas } from './resources.ts'
import { checkSchema } from './schema.ts'
import { gatewaySchema } from './settings.ts'
import { type TSchema, Type } from './type.ts'

const messages = (schema: TSchema, value: unknown) =>
  checkSchema(schema, value).map(({ path, code, message }) => `${path.join('.')} ${code}: ${message}`)

suite('checkSchema', () => {
  test('fills in defaults at every level', (t) => {
    const schema = Type.Object({
      a: Type.Optional(Type.Object({ b: Type.Optional(Type.Integer({ default: 1 })) }, { default: {} })),
    })
    const value = {}
    t.assert.deepEqual(checkSchema(schema, value), [])
    t.assert.deepEqual(value, { a: { b: 1 } })
  })

  test('tells of a choice only the branch that was meant', (t) => {
    const choice = Type.Union([
      Type.Array(Type.Object({ host: Type.String() })),
      Type.Record(Type.String(), Type.Integer()),
    ])
    const schema = Type.Object({ nodes: choice })
    t.assert.deepEqual(messages(schema, { nodes: [{}] }), [
      'nodes.0 missing-field: the field host is required here',
    ])
    t.assert.deepEqual(messages(schema, { nodes: { a: 'x' } }), [
      'nodes.a wrong-type: must be a whole number, but is a string',
    ])
    t.assert.deepEqual(messages(schema, { nodes: 7 }), [
      'nodes wrong-type: must be a list or a map, but is a whole number',
    ])
  })

  test('tells the values of a choice of literals', (t) => {
    const schema = Type.Object({ mode: Type.Union([Type.Literal('a'), Type.Literal('b')]) })
    t.assert.deepEqual(messages(schema, { mode: 'c' }), ['mode wrong-type: must be one of a, b'])
  })

  test('never tells the value', (t) => {
    const schema = Type.Object({
      a: Type.String({ pattern: '^x' }),
      b: Type.Integer({ maximum: 3 }),
      c: Type.Enum(['x', 'y']),
      d: Type.String({ maxLength: 2 }),
      e: Type.Array(Type.String(), { uniqueItems: true }),
      f: Type.Boolean(),
    })
    const value = { a: 's3cret', b: 31_337, c: 's3cret', d: 's3cret', e: ['s3cret', 's3cret'], f: 's3cret' }
    const problems = checkSchema(schema, value)
    t.assert.equal(problems.length, 6)
    t.assert.doesNotMatch(JSON.stringify(problems), /s3cret|31337/)
  })

  test('compiles every schema that there is', (t) => {
    for (const schema of [...Object.values(resourceSchemas), gatewaySchema, metaSchema]) {
      t.assert.doesNotThrow(() => checkSchema(schema, {}))
    }
  })
})
