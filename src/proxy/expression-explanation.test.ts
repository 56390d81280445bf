import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Exchange } from './exchange.ts'
import { whyNot } from './expression-explanation.ts'

function request(query: string): Exchange {
  const headers = { getAll: () => 'Bearer sesame', get: () => 'Bearer sesame' }
  return {
    request: { query, method: 'GET', headers },
    client: { address: '192.0.2.1' },
  } as unknown as Exchange
}

suite('why a condition does not hold', () => {
  const cases: [title: string, condition: unknown[], query: string, why: string[]][] = [
    ['one that holds', [['arg_a', '==', '1']], 'a=1', []],
    ['an empty one always does', [], '', []],
    ['another value', [['arg_a', '==', '1']], 'a=2', ['["arg_a","==","1"]: arg_a is "2"']],
    ['no value', [['arg_a', '1']], '', ['["arg_a","1"]: there is no arg_a']],
    [
      'every part that fails, and no other',
      [
        ['arg_a', '>', 5],
        ['arg_b', '~~', '^x'],
        ['arg_c', 'in', ['1']],
      ],
      'a=3&b=x&c=2',
      ['["arg_a",">",5]: arg_a is "3"', '["arg_c","in",["1"]]: arg_c is "2"'],
    ],
    ['a negation', [['arg_a', '!', '==', '1']], 'a=1', ['["arg_a","!","==","1"]: arg_a is "1"']],
    [
      'none of several',
      [
        'OR',
        ['arg_a', '==', '1'],
        [
          ['arg_b', '==', '1'],
          ['arg_c', '==', '1'],
        ],
      ],
      'a=2&b=1',
      ['none of these: ["arg_a","==","1"]: arg_a is "2"; ["arg_c","==","1"]: there is no arg_c'],
    ],
    [
      'one that holds and may not',
      ['!OR', ['arg_a', '==', '1'], ['arg_b', '==', '1']],
      'a=1&b=2',
      ['["arg_a","==","1"] may not hold, but does'],
    ],
    [
      'all that hold and may not together',
      ['!AND', ['arg_a', '==', '1'], ['arg_b', '==', '1']],
      'a=1&b=1',
      ['not all of these may hold: ["arg_a","==","1"]; ["arg_b","==","1"]'],
    ],
    [
      'inside of each other',
      [['OR', ['arg_a', '==', '1'], ['!AND', ['arg_b', '==', '1'], ['arg_c', '==', '1']]]],
      'b=1&c=1',
      [
        'none of these: ["arg_a","==","1"]: there is no arg_a; not all of these may hold: ["arg_b","==","1"]; ["arg_c","==","1"]',
      ],
    ],
    ['bytes of UTF-8', [['arg_a', '==', 'x']], 'a=%C3%A9', ['["arg_a","==","x"]: arg_a is "é"']],
    [
      'credentials stay out of it',
      [['http_authorization', '==', 'Bearer open']],
      '',
      ['the condition on http_authorization does not hold; its value is not shown'],
    ],
  ]
  for (const [title, condition, query, why] of cases) {
    test(title, () => assert.deepEqual(whyNot(condition, request(query)), why))
  }
})
