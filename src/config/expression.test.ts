import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { expressionVariables, luaNumber, parseExpression } from './expression.ts'

suite('a condition that cannot be read is refused', () => {
  const refused: [value: unknown, problem: string, path: (string | number)[]][] = [
    ['a', 'missing argument rule', []],
    [['arg_a', '==', 'b'], 'rule should be wrapped inside brackets', []],
    [[5], 'rule should be wrapped inside brackets', []],
    [[[]], 'rule too short', [0]],
    [['OR'], 'rule too short', []],
    [['OR', ['arg_a', '==', 'b']], 'rule too short', []],
    [
      [
        ['arg_a', '==', 'b'],
        ['AND', []],
      ],
      'rule too short',
      [1],
    ],
    [[['arg_a', 'like', 'b']], "invalid operator 'like'", [0]],
    [[['arg_a', '!', 'b']], "invalid operator '!'", [0]],
    [[['arg_a', 'not', '==', 'b']], "bad 'not' expression", [0]],
    [[['arg_a']], 'invalid expression', [0]],
    [[[null, '==', 'a']], 'invalid expression', [0]],
    [[['arg_a', ['b']]], 'invalid expression', [0]],
    [[['arg_a', null]], 'invalid expression', [0]],
    [[['arg_a', '==', 'b'], 'AND'], 'invalid expression', [1]],
    [['OR', ['arg_a', '==', 'b'], ['AND', ['arg_b', '<>', 1], ['a', 'b']]], "invalid operator '<>'", [2, 1]],
    [[['remote_addr', 'ipmatch']], 'invalid ip address', [0]],
    [[['remote_addr', 'ipmatch', '']], 'invalid ip address', [0]],
    [[['remote_addr', 'ipmatch', []]], 'invalid ip address', [0]],
    [[['remote_addr', 'ipmatch', ['']]], 'invalid ip address: ', [0]],
    [[['remote_addr', 'ipmatch', '300.0.0.1/8']], 'invalid ip address: 300.0.0.1', [0]],
    [[['remote_addr', 'ipmatch', '10.0.0.0/33']], 'invalid ip address: 10.0.0.0', [0]],
    [[['post_arg.messages[.content[*].type', 'has', 'x']], 'invalid expression', [0]],
    [[['uri', '~~', '(']], 'the regular expression has a parenthesis that is not closed', [0]],
    [[['uri', '~*', ['a']]], 'invalid expression', [0]],
  ]
  for (const [value, problem, path] of refused) {
    test(`${JSON.stringify(value)}: ${problem}`, () => {
      assert.deepEqual(parseExpression(value), { problem, path })
    })
  }

  test('one that is nested without end', () => {
    let value: unknown = ['arg_a', '==', 'b']
    for (let i = 0; i < 10_000; i++) value = [value]
    const result = parseExpression(value)
    assert.ok('problem' in result && result.problem === 'invalid expression')
  })
})

test('an expression tells what it reads', () => {
  const result = parseExpression([
    'or',
    ['arg_a', 'b'],
    [
      ['arg_b', '~='],
      ['arg_a', '!', 'IN', ['x']],
    ],
  ])
  assert.ok('expression' in result)
  assert.deepEqual(expressionVariables(result.expression), ['arg_a', 'arg_b'])
})

test('numbers are those that Lua reads', () => {
  const numbers: [unknown, number][] = [
    ['10', 10],
    [' 10\t', 10],
    ['-1.5e3', -1500],
    ['.5', 0.5],
    ['5.', 5],
    ['0x1F', 31],
    ['-0x10', -16],
    ['0b101', 5],
    ['inf', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    [7, 7],
  ]
  for (const [text, number] of numbers) assert.equal(luaNumber(text), number, String(text))
  for (const none of ['', ' ', '1,5', '1_000', '0o7', '5px', '\xa05', '.', true, null, undefined, ['5']]) {
    assert.equal(luaNumber(none), Number.NaN, String(none))
  }
})
