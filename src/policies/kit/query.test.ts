import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queryValues, withoutQueryParameter } from './query.ts'

const cases: [query: string, values: string[], rest: string][] = [
  ['', [], ''],
  ['key=1', ['1'], ''],
  ['key', [''], ''],
  ['key=', [''], ''],
  ['a=1&key=2&b=3', ['2'], 'a=1&b=3'],
  ['key=1&key=2', ['1', '2'], ''],
  ['&&key=1&', ['1'], ''],
  ['%6bey=a%20b+c', ['a b c'], ''],
  ['key=%', ['%'], ''],
  ['key=%zz%41', ['%zzA'], ''],
  ['key=%d0%ba', ['\u00d0\u00ba'], ''],
  ['key=a=b', ['a=b'], ''],
  ['KEY=1&keys=2&xkey=3&a=key', [], 'KEY=1&keys=2&xkey=3&a=key'],
  ['x=%2F+%3f&key=1', ['1'], 'x=%2F+%3f'],
]
for (const [query, values, rest] of cases) {
  test(`?${query}`, () => {
    assert.deepEqual(queryValues(query, 'key'), values)
    assert.equal(withoutQueryParameter(query, 'key'), rest)
  })
}
