/** Random schemas and values: whether a value fits, and with which defaults, is what Ajv says, too. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { Random } from '../../../test/fuzz/random.ts'
import { copy } from '../copy.ts'
import { resourceSchemas } from '../resources.ts'
import { gatewaySchema } from '../settings.ts'
import { formats } from './formats.ts'
import { nodeOf } from './node.ts'
import { validate } from './validation.ts'

const schemas = 400
const valuesPerSchema = 20

type Schema = Record<string, unknown> | boolean

const names = ['a', 'b', 'c', 'ab']
const texts = ['', 'a', 'ab', 'abc', '10s', '1KiB', '10.0.0.0/8', '\u{1f600}', '\u{1f600}x']
const numbers = [-1, 0, 1, 2, 3, 2.5, 10, 100]
const patterns = ['^a', 'b$', '^.$', '^$', '^[a-c]+$']

/** As it was before the validator here: with defaults, with our formats, and without a word about annotations. */
const ajv = new Ajv2020({
  allErrors: true,
  useDefaults: true,
  strict: false,
  validateSchema: false,
  formats: Object.fromEntries([...formats].map(([name, { fits }]) => [name, fits])),
})

suite('our verdict is that of Ajv', () => {
  for (let seed = 1; seed <= schemas; seed += 100) {
    test(`on random schemas from ${seed} on`, () => {
      let fitting = 0
      let refused = 0
      for (let number = seed; number < seed + 100; number++) {
        const random = new Random(number)
        const schema = randomRoot(random)
        const judge = ajv.compile(schema)
        for (let count = 0; count < valuesPerSchema; count++) {
          const value = randomValue(random, schema, 4)
          const [ours, theirs] = [copy(value), copy(value)]
          const fits = validate(nodeOf(schema), ours, { emptiesAlike: false }).length === 0
          const shown = `seed ${number}: ${JSON.stringify(schema)} and ${JSON.stringify(value)}`
          assert.equal(fits, judge(theirs), shown)
          if (fits) {
            fitting++
            assert.deepEqual(ours, theirs, shown)
          } else refused++
        }
      }
      assert.ok(fitting > 200 && refused > 200, `${fitting} fit, ${refused} do not`)
    })
  }

  for (const [name, schema] of Object.entries({ ...resourceSchemas, gateway: gatewaySchema })) {
    test(`on random values for the schema of ${name}`, () => {
      const judge = ajv.compile(schema)
      const random = new Random(7)
      for (let count = 0; count < 500; count++) {
        const value = randomValue(random, schema as unknown as Schema, 5)
        const [ours, theirs] = [copy(value), copy(value)]
        const fits = validate(nodeOf(schema), ours, { emptiesAlike: false }).length === 0
        assert.equal(fits, judge(theirs), JSON.stringify(value))
        if (fits) assert.deepEqual(ours, theirs, JSON.stringify(value))
      }
    })
  }
})

/** Refers to its definitions, and to itself, as a schema of nested expressions does. */
function randomRoot(random: Random): Record<string, unknown> {
  const root = { ...(randomSchema(random, 3) as Record<string, unknown>) }
  if (typeof root.properties !== 'object') return root
  root.$defs = { x: randomSchema(random, 1) }
  root.properties = {
    ...root.properties,
    ...(random.once(3) && { c: { $ref: '#' } }),
    ...(random.once(3) && { a: { $ref: '#/$defs/x' } }),
  }
  return root
}

function randomSchema(random: Random, depth: number): Schema {
  const inner = () => randomSchema(random, depth - 1)
  if (random.once(20)) return random.once(2)
  const schema: Record<string, unknown> = {}
  const kind = random.below(depth > 0 ? 9 : 5)
  switch (kind) {
    case 0:
      schema.type = 'string'
      some(schema, random, {
        minLength: () => random.below(3),
        maxLength: () => random.below(4),
        pattern: () => random.pick(patterns),
        format: () => random.pick(['duration', 'size', 'cidr']),
      })
      break
    case 1:
      schema.type = random.pick(['integer', 'number'])
      some(schema, random, {
        minimum: () => random.pick(numbers),
        maximum: () => random.pick(numbers),
        exclusiveMinimum: () => random.pick(numbers),
        exclusiveMaximum: () => random.pick(numbers),
        multipleOf: () => random.pick([1, 2, 0.5]),
      })
      break
    case 2:
      schema.type = random.pick(['boolean', 'null', ['string', 'null'], ['integer', 'boolean', 'array']])
      break
    case 3:
      schema.enum = [random.pick(texts), random.pick(numbers), { a: 1 }, [1, 'a'], null]
      break
    case 4:
      schema.const = random.pick([...texts, ...numbers, { a: [1] }, false])
      break
    case 5:
      schema.type = 'array'
      some(schema, random, {
        items: inner,
        minItems: () => random.below(3),
        maxItems: () => 1 + random.below(3),
        uniqueItems: () => true,
      })
      break
    case 6:
    case 7:
      if (!random.once(4)) schema.type = 'object'
      schema.properties = Object.fromEntries(
        names.filter(() => !random.once(3)).map((name) => [name, withDefault(random, inner())]),
      )
      some(schema, random, {
        required: () => names.filter(() => random.once(3)),
        additionalProperties: () => (random.once(2) ? false : inner()),
        patternProperties: () => ({ [random.pick(patterns)]: inner() }),
        minProperties: () => random.below(2),
        maxProperties: () => 1 + random.below(4),
        propertyNames: () => ({ pattern: random.pick(patterns) }),
        dependentRequired: () => ({ a: ['b'] }),
        dependencies: () => ({ b: ['c'], c: { required: ['a'] } }),
      })
      break
    default: {
      const part = () => (depth > 1 ? [inner(), inner()] : [inner()])
      some(schema, random, { anyOf: part, oneOf: part, allOf: part, not: inner })
      // biome-ignore lint/suspicious/noThenProperty: it is the name of the keyword.
      if (random.once(3)) Object.assign(schema, { if: inner(), then: inner(), else: inner() })
    }
  }
  return schema
}

function some(schema: Record<string, unknown>, random: Random, parts: Record<string, () => unknown>): void {
  for (const [keyword, make] of Object.entries(parts)) if (random.once(3)) schema[keyword] = make()
}

function withDefault(random: Random, schema: Schema): Schema {
  if (typeof schema === 'boolean' || !random.once(4)) return schema
  return { ...schema, default: randomValue(random, schema, 2) }
}

/** Mostly something that fits: what fits nothing tests little. */
function randomValue(random: Random, schema: Schema, depth: number): unknown {
  if (depth === 0 || typeof schema === 'boolean' || random.once(12)) return anything(random, depth)
  const branches = (schema.anyOf ?? schema.oneOf ?? schema.allOf) as Schema[] | undefined
  if (branches !== undefined && branches.length > 0) return randomValue(random, random.pick(branches), depth)
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return random.pick(schema.enum)
  const type = Array.isArray(schema.type) ? random.pick(schema.type) : schema.type
  switch (type) {
    case 'string':
      return typeof schema.default === 'string' && random.once(2) ? schema.default : random.pick(texts)
    case 'integer':
    case 'number':
      return random.pick(numbers)
    case 'boolean':
      return random.once(2)
    case 'null':
      return null
    case 'array':
      return Array.from({ length: random.below(4) }, () =>
        randomValue(random, (schema.items ?? true) as Schema, depth - 1),
      )
    default:
      return randomMap(random, schema, depth)
  }
}

function randomMap(random: Random, schema: Record<string, unknown>, depth: number): Record<string, unknown> {
  const map: Record<string, unknown> = {}
  const required = (schema.required ?? []) as string[]
  for (const [name, inner] of Object.entries((schema.properties ?? {}) as Record<string, Schema>)) {
    if (random.once(required.includes(name) ? 12 : 2)) continue
    map[name] = randomValue(random, inner, depth - 1)
  }
  if (random.once(3)) map[random.pick(names)] = anything(random, depth - 1)
  return map
}

function anything(random: Random, depth: number): unknown {
  switch (random.below(depth > 0 ? 6 : 4)) {
    case 0:
      return random.pick(texts)
    case 1:
      return random.pick(numbers)
    case 2:
      return random.once(2)
    case 3:
      return null
    case 4:
      return Array.from({ length: random.below(3) }, () => anything(random, depth - 1))
    default:
      return randomMap(random, { properties: Object.fromEntries(names.map((name) => [name, true])) }, depth)
  }
}
