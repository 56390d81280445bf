import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseTolerantJson } from './tolerant-json.ts'

suite('JSON as lua-cjson reads it', () => {
  const accepted: [text: string, value: unknown][] = [
    ['{"a":[1,2.5,-3e2,true,false,null,"b"],"c":{}}', { a: [1, 2.5, -300, true, false, null, 'b'], c: {} }],
    ['"one\ntwo\r\n\tthree\u0001"', 'one\ntwo\r\n\tthree\u0001'],
    ['{"a\nb": "\\u00e9\\ud83d\\ude00\\"\\/\\b\t"}', { 'a\nb': 'é\u{1f600}"/\b\t' }],
    ['{"a":1,"a":2}', { a: 2 }],
    ['{"a":1,"a":"\n"}', { a: '\n' }],
    ['007', 7],
    ['[1.]', [1]],
    ['12345678901234567890', 12345678901234567000],
    [' \r\n\t{} \n', {}],
  ]
  for (const [text, value] of accepted) {
    test(`accepts ${JSON.stringify(text)}`, () => assert.deepEqual(parseTolerantJson(text), { value }))
  }

  const refused: [text: string, error: string][] = [
    ['', 'Expected value but found T_END at character 1'],
    ['{', 'Expected object key string but found T_END at character 2'],
    ['{"a"}', 'Expected colon but found T_OBJ_END at character 5'],
    ['{"a":}', 'Expected value but found T_OBJ_END at character 6'],
    ['{"a":1,}', 'Expected object key string but found T_OBJ_END at character 8'],
    ['{a:1}', 'Expected object key string but found invalid token at character 2'],
    ['{1:1}', 'Expected object key string but found T_NUMBER at character 2'],
    ['{"a":1 "b":2}', 'Expected comma or object end but found T_STRING at character 8'],
    ['[1,]', 'Expected value but found T_ARR_END at character 4'],
    ['[1 2]', 'Expected comma or array end but found T_NUMBER at character 4'],
    ['[1', 'Expected comma or array end but found T_END at character 3'],
    ['{} {}', 'Expected the end but found T_OBJ_BEGIN at character 4'],
    ['nul', 'Expected value but found invalid token at character 1'],
    ["'a'", 'Expected value but found invalid token at character 1'],
    ['{"a": tru}', 'Expected value but found invalid token at character 7'],
    ['-', 'Expected value but found invalid number at character 1'],
    ['"abc', 'Expected value but found unexpected end of string at character 5'],
    ['{"é": x}', 'Expected value but found invalid token at character 8'],
    ['["\\x"]', 'Expected value but found invalid escape code at character 3'],
    ['["\\u12"]', 'Expected value but found invalid unicode escape code at character 3'],
    ['["\\ud800"]', 'Expected value but found invalid unicode escape code at character 3'],
    ['["\\udc00\\ud800"]', 'Expected value but found invalid unicode escape code at character 3'],
    ['\u00001', 'Expected value but found T_END at character 1'],
    ['[1\u0000]', 'Expected comma or array end but found T_END at character 3'],
  ]
  for (const [text, error] of refused) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.deepEqual(parseTolerantJson(text), { error }))
  }

  test('nesting ends where lua-cjson ends it', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    assert.ok('value' in parseTolerantJson(nested(1000)))
    const error = 'Found too many nested data structures (1001) at character 1001'
    assert.deepEqual(parseTolerantJson(nested(1001)), { error })
    assert.deepEqual(parseTolerantJson('['.repeat(1_000_000)), { error })
    assert.deepEqual(parseTolerantJson(`{"a":"\n","b":${nested(2000)}}`), {
      error: 'Found too many nested data structures (1001) at character 1013',
    })
  })

  test('keys are nothing but keys', () => {
    const parsed = parseTolerantJson('{"__proto__":{"a":"\n"}}')
    assert.ok('value' in parsed && Object.hasOwn(parsed.value as object, '__proto__'))
    assert.equal((parsed.value as { a?: string }).a, undefined)
  })

  test('a text that JSON.parse reads is read the same by both readers', () => {
    const values = [[1e21, -0.5, 1e-7], { 'a"b': ['\\', '/', '\u2028', ''] }, [[], {}, [[{}]]], 'é\u{1f600}']
    for (const value of values) {
      const text = JSON.stringify(value, null, 1)
      // A raw control character is what JSON.parse refuses.
      assert.deepEqual(parseTolerantJson(`[${text},"\u0001"]`), { value: [JSON.parse(text), '\u0001'] })
    }
  })
})
