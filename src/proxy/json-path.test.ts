import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseJsonPath } from '../config/json-path.ts'
import { queryJson } from './json-path.ts'

const document = {
  model: 'gpt',
  messages: [
    { role: 'system', content: [{ type: 'text', size: 1 }] },
    {
      role: 'user',
      content: [
        { type: 'image_url', size: 20 },
        { type: 'text', size: 3 },
      ],
    },
  ],
  store: { 'odd key': 5, book: [{ price: 8, isbn: 'x' }, { price: 22 }], open: true },
}

suite('a path into JSON finds', () => {
  const cases: [path: string, found: unknown[]][] = [
    ['model', ['gpt']],
    ['messages[0].role', ['system']],
    ['messages[-1].role', ['user']],
    ['messages.1.role', ['user']],
    ['messages[*].role', ['system', 'user']],
    ['messages[*].content[*].type', ['text', 'image_url', 'text']],
    ['messages[0,1].role', ['system', 'user']],
    ['messages[0:1].role', ['system']],
    ['messages[1:].role', ['user']],
    ['messages[::2].role', ['system']],
    ["store['odd key']", [5]],
    ['store["odd key", "open"]', [5, true]],
    ['store.*', [5, document.store.book, true]],
    ['*.open', [true]],
    ['.size', [1, 20, 3]],
    ['messages..type', ['text', 'image_url', 'text']],
    ['store..price', [8, 22]],
    ['..price', undefined as unknown as unknown[]],
    ['store.book[?(@.price < 10)].price', [8]],
    ['store.book[?(@.isbn)].price', [8]],
    ['store.book[?(@.price >= 8 && @.isbn == "x")].price', [8]],
    ["store.book[?(@.price == 22 || @.isbn == 'x')].price", [8, 22]],
    ['store.book[?(@.isbn != "x")].price', []],
    ['messages[?(@.content.length > 1)].role', ['user']],
    ['messages[?(@.content[0].type == "text")].role', ['system']],
    ['messages[7].role', []],
    ['model.name', []],
    ['model[*]', []],
    ['store.constructor', []],
    ['absent[*]', []],
  ]
  for (const [path, found] of cases) {
    test(path, () => {
      const steps = parseJsonPath(path)
      if (found === undefined) assert.equal(steps, undefined)
      else assert.deepEqual(queryJson(document, steps!), found)
    })
  }

  for (const text of [
    '',
    'a[',
    'a[]',
    'a[.b',
    'a]',
    'a..',
    'a.',
    'a[?(@.b]',
    'a[0:1:0]',
    'a[?(@.b ==)]',
    `a[?${'('.repeat(99)}@.b`,
  ]) {
    test(`${text.slice(0, 20) || 'nothing'} is no path`, () => assert.equal(parseJsonPath(text), undefined))
  }

  test('nothing below a thousand levels', () => {
    let value: unknown = { found: 1 }
    for (let i = 0; i < 100_000; i++) value = [value]
    assert.deepEqual(queryJson(value, parseJsonPath('.found')!), [])
  })
})
