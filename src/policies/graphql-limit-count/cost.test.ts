import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { CostDecorationSpec } from '../kit/index.ts'
import { readGraphqlDocument } from '../kit/index.ts'
import { type CostQuestion, costOf } from './cost.ts'
import { costModelOf } from './cost-model.ts'
import type { UpstreamSchema } from './upstream-schema.ts'

/** `shop: Shop` or `list(first = 10): Item`, by type. */
const schemaOf = (types: Record<string, string[]>): UpstreamSchema => ({
  roots: { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' },
  types: new Map(
    Object.entries(types).map(([name, fields]) => [
      name,
      new Map(
        fields.map((text) => {
          const [, field, argument, value, type] = /^(\w+)(?:\((\w+) = (\w+)\))?: (\w+)$/.exec(text)!
          return [field!, { type, defaults: new Map(argument ? [[argument, value!]] : []) }]
        }),
      ),
    ]),
  ),
})

const library = schemaOf({
  Query: ['shelves: Shelf', 'top(first = 4): Book', 'any: Thing'],
  Shelf: ['books: Book', 'label: String'],
  Book: ['title: String', 'loans: Loan'],
  Loan: ['reader: Reader'],
  Reader: ['name: String', 'favourite: Book'],
  Thing: ['id: ID'],
})

const path = (field_path: string, more: Partial<CostDecorationSpec> = {}): CostDecorationSpec => ({
  field_path,
  add_value: 1,
  mul_value: 1,
  ...more,
})
const first = { mul_arguments: ['first'] }

function cost(
  document: string,
  decorations: CostDecorationSpec[],
  { strategy = 'complexity', ...more }: Partial<CostQuestion> = {},
) {
  const definitions = readGraphqlDocument(document)!
  return costOf({
    strategy,
    operations: definitions.filter(({ operation }) => operation !== undefined),
    fragments: new Map(definitions.map((definition) => [definition.name, definition])),
    model: costModelOf(decorations),
    schema: library,
    resolves: true,
    variables: undefined,
    ...more,
  })
}

suite('complexity', () => {
  const cases: [document: string, decorations: CostDecorationSpec[], cost: number][] = [
    ['{ shelves { label } }', [], 3],
    // ((title 1) + books 1) * 3 + 1, and 1 for the query
    ['{ shelves(first: 3) { books { title } } }', [path('Query.shelves', first)], 8],
    ['{ a: shelves(first: 3) { label } b: shelves(first: 2) { label } }', [path('Query.shelves', first)], 8],
    ['{ shelves(first: "3") { label } }', [path('Query.shelves', first)], 5],
    ['{ shelves(n: 5) { label } }', [path('Query.shelves', { add_arguments: ['n'], add_value: 2 })], 9],
    // A type, wherever a field returns it.
    ['{ top { title } shelves { books { title } } }', [path('Book', { add_value: 10 })], 24],
    ['{ shelves { label } }', [path('Query', { mul_value: 5 })], 11],
    // One chain, and no other.
    [
      '{ top { title } shelves { books { title } } }',
      [path('Query.shelves.books.title', { add_value: 9 })],
      14,
    ],
    // The longer path has the last word on what both say.
    [
      '{ shelves { books(first: 4) { title } } }',
      [path('Query.shelves.books', { add_value: 50 }), path('Shelf.books', { ...first, add_value: 2 })],
      56,
    ],
    ['{ shelves { ...S ...S } } fragment S on Shelf { label }', [], 4],
    ['{ any { ... on Book { title } } }', [path('Book.title', { add_value: 7 })], 9],
    [
      '{ any { ...B } } fragment B on Book { title }',
      [path('Book.title', { add_value: 7 }), path('Loan')],
      9,
    ],
    ['{ any { ... on Nothing { id } } }', [path('Thing.id', { add_value: 7 })], 9],
    ['{ __typename unknown { x } }', [path('Query.shelves', first)], 4],
    // The dearest operation.
    ['query a { any { id } } query b { shelves { books { title } } }', [], 4],
  ]
  for (const [document, decorations, expected] of cases) {
    test(document, () => assert.equal(cost(document, decorations), expected))
  }
})

test('node_quantifier charges what has a quantifier, as often as it is resolved', () => {
  const decorations = [
    path('Query.shelves', first),
    path('Shelf.books', { ...first, add_value: 2 }),
    path('Loan'),
  ]
  const by = { strategy: 'node_quantifier' } as const
  assert.equal(
    cost('{ shelves(first: 5) { books(first: 10) { loans { reader { name } } } } }', decorations, by),
    11,
  )
  assert.equal(cost('{ shelves { books(first: 10) { title } } }', decorations, by), 2)
  assert.equal(cost('{ shelves { books { title } } }', decorations, by), 0)
})

test('no value makes a query cheaper than it is without', () => {
  const plain = cost('{ shelves { label } }', [path('Query.shelves', first)])
  for (const value of ['-1', '-1000', '1e400', '"ten"', 'true', 'null', '""', '[5]', '{a: 5}', '$missing'])
    assert.equal(cost(`{ shelves(first: ${value}) { label } }`, [path('Query.shelves', first)]), plain, value)
  assert.equal(cost('{ shelves(first: 0) { label } }', [path('Query.shelves', first)]), 2)
  assert.equal(cost('{ shelves(first: 1, first: 40) { label } }', [path('Query.shelves', first)]), 42)
  assert.equal(cost('{ shelves(first: 40, first: 1) { label } }', [path('Query.shelves', first)]), 42)
})

test('variables, their defaults and those of the schema count, unless that is switched off', () => {
  const decorations = [path('Query.top', first)]
  const document = 'query ($n: Int = 6) { top(first: $n) { title } }'
  const values: [unknown, number][] = [
    [{ n: 20 }, 22],
    [{ n: '20' }, 22],
    [{ n: true }, 3],
    [{}, 8],
    [undefined, 8],
    ['n', 8],
    [[20], 8],
    [{ __proto__: { n: 20 } }, 8],
  ]
  for (const [variables, expected] of values)
    assert.equal(cost(document, decorations, { variables }), expected)
  assert.equal(cost('{ top { title } }', decorations), 6)
  const off = { resolves: false, variables: { n: 20 } }
  assert.equal(cost(document, decorations, off), 3)
  assert.equal(cost('{ top { title } }', decorations, off), 3)
  assert.equal(cost('{ top(first: 2) { title } }', decorations, off), 4)
})

test('without a schema every field costs 1', () => {
  const nothing = { model: undefined, schema: undefined }
  assert.equal(cost('{ shelves(first: 50) { books { title } } }', [], nothing), 4)
  assert.equal(cost('{ shelves(first: 50) { label } }', [], { ...nothing, strategy: 'node_quantifier' }), 0)
})
