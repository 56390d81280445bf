/** What holds for every setting of every policy, made from the schemas: wrong values are findings, defaults are filled in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSchema } from '../config/schema.ts'
import { examples, type PolicyExample } from './examples.ts'
import { catalogue } from './index.ts'

interface Field {
  type?: string
  enum?: readonly unknown[]
  const?: unknown
  anyOf?: readonly Field[]
  oneOf?: readonly Field[]
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minLength?: number
  minItems?: number
  items?: Field
  properties?: Readonly<Record<string, Field>>
  default?: unknown
}

type Path = readonly (string | 0)[]

/** Values of each type, of which a field takes none unless it has that type. An empty list also passes for an empty map. */
const ofEachType: readonly [type: string, value: unknown][] = [
  ['boolean', true],
  ['string', 'no such value'],
  ['number', 7.5],
  ['array', ['no such value']],
  ['object', { 'no such member': 1 }],
]

/** Values that a field does not take. Empty: it takes anything. */
function wrongValues(field: Field): unknown[] {
  const types = typesOf(field)
  if (types === undefined) return []
  const wrong = ofEachType.filter(([type]) => !types.has(type)).map(([, value]) => value)
  if (types.has('integer') && !types.has('number')) wrong.push(1.5)
  if (field.enum !== undefined) wrong.push('no such value')
  if (field.const !== undefined) wrong.push('no such value')
  if (field.minimum !== undefined) wrong.push(field.minimum - 1)
  if (field.exclusiveMinimum !== undefined) wrong.push(field.exclusiveMinimum)
  if (field.maximum !== undefined) wrong.push(field.maximum + 1)
  if (field.minLength) wrong.push('')
  if (field.minItems) wrong.push([])
  return wrong
}

/** Undefined: any. */
function typesOf(field: Field): Set<string> | undefined {
  const choices = field.anyOf ?? field.oneOf
  if (choices !== undefined) {
    const all = choices.map(typesOf)
    return all.includes(undefined) ? undefined : new Set(all.flatMap((one) => [...one!]))
  }
  if (field.enum !== undefined) return new Set(field.enum.map((value) => typeof value))
  if (field.const !== undefined) return new Set([typeof field.const])
  return field.type === undefined ? undefined : new Set([field.type])
}

function fieldsOf(schema: Field, path: Path = []): [Path, Field][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]): [Path, Field][] => {
    const here = [...path, name]
    const inner = field.type === 'array' && field.items ? fieldsOf(field.items, [...here, 0]) : []
    return [[here, field], ...inner, ...fieldsOf(field, here)]
  })
}

/** A copy of `whole` with the value at a path, and the maps and lists that lead there. */
function withValue(whole: unknown, path: Path, value: unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return value
  if (name === 0) {
    const [first, ...others] = Array.isArray(whole) ? whole : []
    return [withValue(first, rest, value), ...others]
  }
  const map = typeof whole === 'object' && whole !== null && !Array.isArray(whole) ? whole : {}
  return { ...map, [name]: withValue((map as Record<string, unknown>)[name], rest, value) }
}

function isBelow(found: readonly unknown[], path: Path): boolean {
  return path.every((segment, index) => String(found[index]) === String(segment))
}

const table: Readonly<Record<string, PolicyExample>> = examples

for (const [name, policy] of catalogue) {
  const example = table[name]!
  const parts = [
    ['config', policy.config, example.config],
    ['credential', policy.credential, example.credential],
    ['metadata', policy.metadata, example.metadata ?? {}],
  ] as const

  for (const [part, schema, good] of parts) {
    if (schema === undefined) continue
    const fields = fieldsOf(schema as Field)

    test(`${name}: every wrong value in its ${part} is a finding at its place`, () => {
      assert.deepEqual(checkSchema(schema, structuredClone(good)), [], 'the example itself')
      for (const [path, field] of fields) {
        for (const wrong of wrongValues(field)) {
          const problems = checkSchema(schema, structuredClone(withValue(good, path, wrong)))
          const places = problems.map((problem) => problem.path)
          assert.ok(
            places.some((place) => isBelow(place, path)),
            `${path.join('.')} takes ${JSON.stringify(wrong)}; findings at ${JSON.stringify(places)}`,
          )
        }
      }
    })

    test(`${name}: the defaults of its ${part} are filled in`, () => {
      const filled = structuredClone(good) as Record<string, unknown>
      checkSchema(schema, filled)
      for (const [member, field] of Object.entries((schema as Field).properties ?? {})) {
        if (field.default === undefined || (good as Record<string, unknown>)[member] !== undefined) continue
        assert.notEqual(filled[member], undefined, member)
        if (field.type !== 'object') assert.deepEqual(filled[member], field.default, member)
      }
    })

    test(`${name}: an unknown member of its ${part} is a finding`, () => {
      const [problem] = checkSchema(schema, { ...structuredClone(good), 'no-such-setting': 1 })
      assert.deepEqual(problem?.path, ['no-such-setting'])
    })
  }
}
