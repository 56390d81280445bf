import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileCost } from './cost-expression.ts'

const counts = { input_tokens: 10, output_tokens: 4, cached: 3 }

for (const [text, cost] of [
  ['input_tokens + output_tokens', 14],
  ['(input_tokens - cached) + output_tokens * 1.25', 12],
  ['input_tokens - cached - 1', 6],
  ['2 ^ 3 ^ 2', 512],
  ['-2 ^ 2', -4],
  ['2 ^ -1', 0.5],
  ['7 // 2 + 7 % 3 + -7 % 3', 6],
  ['max(input_tokens, 50, 1) + math.floor(2.7) + min(1, 2)', 53],
  ['nothing + 1', 1],
  ['toString + constructor', 0],
  ['.5e1', undefined],
  ['1 / 0', Number.POSITIVE_INFINITY],
] as const) {
  test(text, () => {
    const compiled = compileCost(text)
    if (cost === undefined) assert.ok('problem' in compiled)
    else assert.equal(typeof compiled === 'function' && compiled(counts), cost)
  })
}

for (const text of [
  '',
  '1 +',
  '(1',
  '1)',
  'a b',
  'os.exit()',
  'invalid $$$ syntax %%%',
  'a.b',
  'max(',
  'f(1)',
  '"x"',
  '('.repeat(5000),
]) {
  test(`${text.slice(0, 30)} is refused`, () => assert.ok('problem' in compileCost(text)))
}
