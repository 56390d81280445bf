import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseExpression } from '../config/expression.ts'
import type { Exchange } from './exchange.ts'
import { compileExpression } from './expression.ts'

/** The query is all that the conditions here look at, and the client's address. */
function request(query: string, address = '127.0.0.1'): Exchange {
  return { request: { query }, client: { address } } as unknown as Exchange
}

function holds(value: unknown, query: string, address?: string): boolean {
  const result = parseExpression(value)
  assert.ok('expression' in result, JSON.stringify(result))
  return compileExpression(result.expression)(request(query, address))
}

suite('a condition', () => {
  const cases: [value: unknown, yes: string[], no: string[]][] = [
    [[], ['', 'a=1'], []],
    [[['arg_a', '==', 'b']], ['a=b', 'a=b&a=c'], ['', 'a=B', 'a=c']],
    [[['arg_a', 'b']], ['a=b'], ['a=c', '']],
    [[['arg_a', 'B']], ['a=b'], ['a=B']],
    [[['arg_a', 5]], ['a=5'], ['a=5.0']],
    [[['arg_a', '==', 5]], ['a=5', 'a=5.0', 'a=0x5', 'a=+5+'], ['a=five', '', 'a=6']],
    [[['arg_a', '==', '5']], ['a=5'], ['a=5.0']],
    [[['arg_a', '==', true]], [], ['a=true', '']],
    [[['arg_a', '==', null]], ['', 'b=1'], ['a', 'a=1']],
    [[['arg_a', '==']], [''], ['a=1']],
    [[['arg_a', '==', ['b']]], [], ['a=b', '']],
    [[['arg_a', '~=', 'b']], ['', 'a=c'], ['a=b']],
    [[['arg_a', '~=', 5]], ['', 'a=x', 'a=6'], ['a=5', 'a=5.0']],
    [[['arg_a', '~=', null]], ['a=1', 'a'], ['']],
    [[['arg_a', '~=']], ['a=1'], ['']],
    [[['arg_a', '>', 10]], ['a=11', 'a=10.5'], ['a=10', 'a=x', '', 'a=']],
    [[['arg_a', '>=', '10']], ['a=10'], ['a=9', 'a=x']],
    [[['arg_a', '<', 10]], ['a=9', 'a=-3'], ['a=10', '', 'a=x']],
    [[['arg_a', '<=', 10]], ['a=10'], ['a=10.1']],
    [[['arg_a', '>', 'ten']], [], ['a=11', '']],
    [[['arg_a', '>', null]], [], ['a=11', '']],
    [[['arg_a', '!', '>', 10]], ['a=10', '', 'a=x'], ['a=11']],
    [[['arg_a', '~~', '^[a-z]{1,4}$']], ['a=abc'], ['a=ABC', '', 'a=abcde']],
    [[['arg_a', '~~', 1]], ['a=210'], ['a=2']],
    [[['arg_a', '~*', 'B']], ['a=abc', 'a=ABC'], ['a=c', '']],
    [[['arg_a', '!', '~~', '[a-z]']], ['a=9', ''], ['a=b']],
    [[['arg_a', 'in', ['1', '2']]], ['a=1', 'a=2'], ['a=4', '']],
    [[['arg_a', 'IN', [1, 2]]], [], ['a=1']],
    [[['arg_a', 'in', '1']], [], ['a=1']],
    [[['arg_a', 'in']], [], ['a=1', '']],
    [[['arg_a', '!', 'in', ['1']]], ['', 'a=2'], ['a=1']],
    [[['arg_a', 'has', 'b']], [], ['a=b', '']],
    [[['arg_a', '!', 'HAS', 'b']], ['a=b', ''], []],
    [[['arg_a', 'ipmatch', '10.0.0.0/8']], ['a=10.1.2.3'], ['a=11.1.2.3', '', 'a=x', 'a=10']],
    [[['arg_a', 'ipmatch', ['::1', 'fd00::/8']]], ['a=::1', 'a=fdab::5', 'a=[::1]'], ['a=::2', 'a=fe00::1']],
    [[['arg_a', '!', 'ipmatch', '127.0.0.1']], ['a=127.0.0.2', '', 'a=x'], ['a=127.0.0.1']],
    [[['arg_a', '==', 'é']], ['a=%C3%A9'], ['a=%E9']],
    [
      [
        ['arg_w', '>', 10],
        ['arg_w', '!', '>', 15],
      ],
      ['w=12', 'w=15'],
      ['w=8', 'w=16'],
    ],
    [['AND', ['arg_a', 'x'], ['arg_b', 'y']], ['a=x&b=y'], ['a=x', 'b=y', '']],
    [
      ['or', ['arg_a', 'x'], ['arg_b', 'y']],
      ['a=x', 'b=y'],
      ['', 'a=y'],
    ],
    [['!AND', ['arg_a', 'x'], ['arg_b', 'y']], ['a=x', ''], ['a=x&b=y']],
    [
      ['!or', ['arg_a', 'x'], ['arg_b', 'y']],
      ['', 'a=y'],
      ['a=x', 'b=y'],
    ],
    [
      [
        '!OR',
        [
          ['arg_w', '<', 20],
          ['arg_w', '!', '<', 15],
        ],
        ['AND', ['arg_h', '>', 10], ['arg_n', 'x']],
      ],
      ['w=14&h=11', 'w=20', ''],
      ['w=16', 'h=11&n=x'],
    ],
    [
      [
        ['OR', ['arg_a', 'x'], ['arg_a', 'y']],
        ['arg_b', 'z'],
      ],
      ['a=x&b=z', 'a=y&b=z'],
      ['a=x', 'b=z'],
    ],
  ]
  for (const [value, yes, no] of cases) {
    test(JSON.stringify(value), () => {
      for (const query of yes) assert.equal(holds(value, query), true, query)
      for (const query of no) assert.equal(holds(value, query), false, query)
    })
  }

  test('compares the address of the client', () => {
    const value = [['remote_addr', 'ipmatch', ['127.0.0.0/16', '2001:db8::/32']]]
    assert.equal(holds(value, '', '127.0.3.4'), true)
    assert.equal(holds(value, '', '127.1.3.4'), false)
    assert.equal(holds(value, '', '2001:db8:5::1'), true)
    assert.equal(holds(value, '', '2001:db9::1'), false)
  })
})
