import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSubstitution, type Substitution } from './substitution.ts'

function compiled(source: string, replacement: string, ignoreCase = false): Substitution {
  const result = compileSubstitution(source, replacement, ignoreCase)
  if ('problem' in result) throw new Error(result.problem)
  return result
}

test('the first match or all of them give way', () => {
  const { apply } = compiled('o', '0')
  assert.equal(apply('foo boo', false), 'f0o boo')
  assert.equal(apply('foo boo', true), 'f00 b00')
  assert.equal(apply('bar', true), 'bar')
})

test('groups, the whole match and dollar signs', () => {
  assert.equal(compiled('(a)(b)?', '[$1|$2|$0|$$1]').apply('ab', false), '[a|b|ab|$1]')
  assert.equal(compiled('(a)(b)', '$\x7b2}0').apply('ab', false), 'b0')
  assert.equal(compiled('(a)(b)?', '[$1|$2]').apply('ac', false), '[a|]c')
  assert.deepEqual([...compiled('^/(.*)/x', '').find('/y/x')!], ['/y/x', 'y'])
  assert.equal(compiled('^/(.*)/x', '').find('/y'), null)
})

test('an empty match moves on', () => {
  assert.equal(compiled('x*', '-').apply('ab', true), '-a-b-')
})

test('the end of a text, which may come before a last line feed', () => {
  assert.equal(compiled('\\w+$', '*').apply('hello world\n', false), 'hello *\n')
  assert.equal(compiled('\\s+$', '').apply('hello \n', false), 'hello')
  assert.equal(compiled('$', '!').apply('a\n', false), 'a!\n')
  assert.equal(compiled('\\w+\\Z', '*').apply('a\n\n', false), 'a\n\n')
  assert.equal(compiled('d\\z', '*').apply('d\n', false), 'd\n')
})

test('letters of either case, where that is asked for', () => {
  assert.equal(compiled('fox', 'dog', true).apply('FOX', false), 'dog')
  assert.equal(compiled('fox', 'dog').apply('FOX', false), 'FOX')
})

test('what is no expression, and what could take for ever, is refused', () => {
  assert.ok('problem' in compileSubstitution('(', ''))
  assert.ok('problem' in compileSubstitution('(a)', '$`1'))
  assert.ok('problem' in compileSubstitution('^(?=(a+)+$)b\\1', ''))
})
