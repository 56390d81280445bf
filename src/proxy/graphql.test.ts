import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readGraphql, readGraphqlDocument } from './graphql.ts'

suite('a GraphQL document', () => {
  const documents: [text: string, operation: string | undefined, name: string, fields: string[]][] = [
    ['{ a b }', 'query', '', ['a', 'b']],
    ['query { owner { name } }', 'query', '', ['owner']],
    ['query repo {\n owner { name }\n repo { created }\n}', 'query', 'repo', ['owner', 'repo']],
    [
      'mutation m($ep: Episode!, $r: [In!]! = [1, {a: "x"}]) @d(if: true) { create(ep: $ep, r: $r) { id } }',
      'mutation',
      'm',
      ['create'],
    ],
    ['subscription s { tick }', 'subscription', 's', ['tick']],
    ['query a { x } mutation b { y }', 'query', 'a', ['x']],
    [
      '{ alias: field @include(if: $x) ...Some ... on User { id } ... @skip(if: true) { z } }',
      'query',
      '',
      ['field', 'Some'],
    ],
    ['fragment f on T { x }', undefined, 'f', ['x']],
    [
      '\ufeff# comment }\nquery , { a(s: "q } \\" ", b: """ block \\""" } """, n: -1.5e3, e: RED, l: [], o: {}), b }',
      'query',
      '',
      ['a', 'b'],
    ],
    ['query on { on }', 'query', 'on', ['on']],
  ]
  for (const [text, operation, name, rootFields] of documents) {
    test(JSON.stringify(text.slice(0, 50)), () => {
      const read = readGraphql(text)!
      assert.deepEqual([read.operation, read.name, read.rootFields], [operation, name, rootFields])
    })
  }

  const broken = [
    '',
    ' ',
    'AA',
    'query',
    'query {',
    'query { }',
    '{ a',
    '{ a } }',
    '{ a } garbage',
    '{ a: }',
    '{ a() }',
    '{ a(b) }',
    '{ a(b: ) }',
    '{ a(b: "x }',
    '{ a(b: """x }',
    'query ($a Int) { a }',
    'query ($a: [Int) { a }',
    '{ ... on { a } }',
    '{ "a" }',
    '{ a(b: 01) }',
    '{ a % }',
    'fragment on T { x }',
    `${'{a'.repeat(500)}${'}'.repeat(500)}`,
    `{ a(b: ${'['.repeat(500)}${']'.repeat(500)}) }`,
  ]
  for (const text of broken) {
    test(`${JSON.stringify(text.slice(0, 30))} is none`, () => assert.equal(readGraphql(text), undefined))
  }

  test('may hold long strings', () => {
    const long = 'x'.repeat(900_000)
    assert.deepEqual(readGraphql(`{ a(b: "${long}", c: """${long}""") } # ${long}`)?.rootFields, ['a'])
  })
})

test('all definitions of a document come with what they select', () => {
  const field = (name: string, ...selections: object[]) => ({
    kind: 'field',
    name,
    on: '',
    args: [],
    selections,
  })
  assert.deepEqual(
    readGraphqlDocument('query q { a { ...F ... on T { b } } } fragment F on T { c }')?.map(
      ({ operation, name, selections }) => ({ operation, name, selections }),
    ),
    [
      {
        operation: 'query',
        name: 'q',
        selections: [
          field(
            'a',
            { kind: 'spread', name: 'F', on: '', args: [], selections: [] },
            { kind: 'inline', name: '', on: 'T', args: [], selections: [field('b')] },
          ),
        ],
      },
      { operation: undefined, name: 'F', selections: [field('c')] },
    ],
  )
  assert.deepEqual(readGraphqlDocument(' # nothing'), [])
  assert.equal(readGraphqlDocument('{ a'), undefined)
})

test('arguments and defaults of variables come with their single values', () => {
  const [query, fragment] = readGraphqlDocument(
    'query ($n: Int = 5, $m: Int, $l: [Int] = [1]) { a(first: $n, s: "x", on: true, l: [1], o: {a: 1}, b: """7""") { b } } fragment F on T { c }',
  )!
  const literal = (name: string, text: string) => ({ name, value: { kind: 'literal', text } })
  assert.deepEqual(query!.defaults, [literal('n', '5')])
  assert.deepEqual(query!.selections[0]!.args.slice(0, 3), [
    { name: 'first', value: { kind: 'variable', text: 'n' } },
    literal('s', '"x"'),
    literal('on', 'true'),
  ])
  assert.deepEqual([fragment!.on, fragment!.defaults], ['T', []])
})
