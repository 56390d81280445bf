import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { matchesEtag, partOf } from './conditions.ts'
import { parseDirectives, secondsOf } from './directives.ts'
import { parseHttpDate } from './http-date.ts'
import { digestOf } from './key.ts'

test('directives: names in any case, arguments with and without quotes, garbage in between', () => {
  const found = parseDirectives('Max-Age=5, private="a, b" , no-store,, =x, ;y, s-maxage="7"')
  assert.deepEqual(Object.fromEntries(found), {
    'max-age': '5',
    private: 'a, b',
    'no-store': '',
    's-maxage': '7',
  })
  assert.equal(parseDirectives(undefined).size, 0)
})

test('of two times the shorter one counts, and what is no time is none', () => {
  for (const [value, expected] of [
    ['max-age=5, max-age=3', 3],
    ['max-age=3, max-age=5', 3],
    ['max-age=abc', 0],
    ['max-age=-1', 0],
    ['max-age=1.5', 0],
    ['max-age', 0],
    ['max-age=99999999999999999999', 2 ** 31],
    ['x', undefined],
  ] as const)
    assert.equal(secondsOf(parseDirectives(value), 'max-age'), expected, value)
})

test('a value of a megabyte is read in one go', () => {
  assert.equal(parseDirectives(`${' '.repeat(500_000)}x${','.repeat(500_000)}no-store`).has('no-store'), true)
})

test('dates have one of three forms (RFC 9110 5.6.7)', () => {
  const expected = Date.UTC(1994, 10, 6, 8, 49, 37)
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), expected)
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), expected)
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), expected)
  for (const text of [
    '0',
    '-1',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 25:49:37 GMT',
    '',
    undefined,
  ])
    assert.equal(parseHttpDate(text), undefined)
})

suite('entity tags', () => {
  for (const [list, etag, expected] of [
    ['"a"', '"a"', true],
    ['W/"a"', '"a"', true],
    ['"x", "a"', 'W/"a"', true],
    ['"a,b"', '"a"', false],
    ['a', '"a"', false],
    ['*', '', true],
    ['"a"', '', false],
  ] as const) {
    test(`${list} against ${etag || 'none'}`, () => assert.equal(matchesEtag(list, etag), expected))
  }
})

suite('ranges of ten bytes', () => {
  for (const [range, expected] of [
    ['bytes=0-0', [0, 1]],
    ['bytes=3-', [3, 10]],
    ['bytes=-4', [6, 10]],
    ['bytes=-40', [0, 10]],
    ['bytes=5-99', [5, 10]],
    ['bytes=10-', 'outside'],
    ['bytes=-0', 'outside'],
    ['bytes=5-4', 'whole'],
    ['bytes=0-1,3-4', 'whole'],
    ['bytes=-', 'whole'],
    ['lines=1-2', 'whole'],
  ] as const) {
    test(range, () => assert.deepEqual(partOf(range, 10), expected))
  }
})

test('no two keys are the same because of where their parts end', () => {
  assert.notDeepEqual(digestOf(['a', 'bc']), digestOf(['ab', 'c']))
  assert.notDeepEqual(digestOf(['a', '']), digestOf(['', 'a']))
  assert.notDeepEqual(digestOf(['1:a']), digestOf(['', 'a']))
})
