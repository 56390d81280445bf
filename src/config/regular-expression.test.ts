import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { compilePattern, matchesPattern } from './regular-expression.ts'

function finds(source: string, text: string, ignoreCase = false): boolean {
  const pattern = compilePattern(source, ignoreCase)
  assert.ok(!('problem' in pattern), 'problem' in pattern ? `${source} ${pattern.problem}` : '')
  return matchesPattern(pattern, text)
}

suite('an expression in the syntax of PCRE', () => {
  const cases: [source: string, found: string[], not: string[]][] = [
    ['b', ['abc'], ['ac']],
    ['^/foo$', ['/foo', '/foo\n'], ['/foo/', 'x/foo', '/foo\n\n']],
    ['\\A/foo\\z', ['/foo'], ['/foo\n']],
    ['a.c', ['abc', 'a\rc'], ['a\nc']],
    ['(?s)a.c', ['a\nc'], ['ac']],
    ['(?m)^b$', ['a\nb\nc'], ['ab\nc']],
    ['(?i)abc', ['ABC', 'aBc'], ['ab']],
    ['a(?i)b|c', ['aB', 'C'], ['AB']],
    ['a(?i:b)c', ['aBc'], ['aBC']],
    ['(?x) a b # comment\n c', ['abc'], ['a b']],
    ['[[:alpha:]]+[[:digit:]]', ['ab1'], ['1']],
    ['[[:^digit:]]', ['a'], ['1']],
    ['[]a]', [']', 'a'], ['b']],
    ['[^]a]', ['b'], [']', 'a']],
    ['[a\\-z-]', ['-', 'a', 'z'], ['b']],
    ['[\\w.]+@', ['a.b@'], ['@']],
    ['[^\\s]', ['a', '\xa0'], [' ', '\t']],
    ['\\s', ['\v'], ['\xa0']],
    ['\\h\\H\\D\\W', ['\tax-'], ['\tab1']],
    ['\\x41\\x{42}\\103\\cA\\e\\t', ['ABC\x01\x1b\t'], ['abc']],
    ['\\Qa.b\\Ec', ['a.bc'], ['axbc']],
    ['(?P<year>\\d{4})-(?<m>\\d\\d)', ['2026-11'], ['26-11']],
    ['(a|b)\\1', ['aa', 'bb'], ['ab']],
    ['(?<x>a|b)\\k<x>', ['bb'], ['ab']],
    ['(a)(b)\\g{-1}', ['abb'], ['aba']],
    ['(?<!x)y', ['ay', 'y'], ['xy']],
    ['^(?!/admin)/[a-z]+', ['/users'], ['/admin', '/admins']],
    ['^(?=.*\\d)(?=.*[a-z]).{8,}$', ['abcdefg1'], ['abcdefgh', 'abc1']],
    ['a{,3}', ['a{,3}'], ['aaa']],
    ['a{2}b{0,1}', ['aa', 'aab'], ['a']],
    ['^a{20,22}$', ['a'.repeat(20), 'a'.repeat(22)], ['a'.repeat(19), 'a'.repeat(23)]],
    ['^a{20,}$', ['a'.repeat(20), 'a'.repeat(90)], ['a'.repeat(19)]],
    ['^(?:a{5}){4}$', ['a'.repeat(20)], ['a'.repeat(19)]],
    ['a|', ['', 'x'], []],
    ['é', ['\xc3\xa9'], ['\xe9']],
    ['/v[0-9]+/(users|orders)/?$', ['/v1/users', '/v12/orders/'], ['/v1/items']],
    ['}]{', ['}]{'], ['}']],
  ]
  for (const [source, found, not] of cases) {
    test(JSON.stringify(source), () => {
      for (const text of found) assert.equal(finds(source, text), true, JSON.stringify(text))
      for (const text of not) assert.equal(finds(source, text), false, JSON.stringify(text))
    })
  }

  const characters: [source: string, found: string[], not: string[]][] = [
    ['^.$', ['é', '😀', '中'], ['ab', '\n']],
    ['^\\N{3}$', ['a😀é'], ['a😀']],
    ['^[^a]$', ['😀', 'é'], ['a', 'aa']],
    ['^[à-ü]+$', ['éö'], ['e']],
    ['^[😀-😂x]{2}$', ['😁x'], ['😁', '😃x']],
    ['^[^😀-😂]$', ['😃', 'x'], ['😁']],
    ['(?i)^ÉΣ$', ['éσ', 'éς', 'ÉΣ'], ['es']],
    ['(?i)^[k]$', ['\u212a', 'K'], ['x']],
    ['^\\x{1F600}\\xe9$', ['😀é'], ['é😀']],
    ['^\\w+$', ['ab_1'], ['é']],
    ['^\\W$', ['é', '😀'], ['a']],
    ['^\\h\\v$', ['\u2003\u2028'], ['ab']],
    ['^\\p{L}+\\P{L}\\pN$', ['aéЖ-5'], ['a-b']],
    ['^[\\p{Greek}\\p{^L}]+$', ['αβ1'], ['ab']],
    ['^(?:😀|é){2}$', ['é😀'], ['éé😀']],
    ['^(é)\\1$', ['éé'], ['éè']],
    ['\\Q😀.\\E', ['😀.'], ['😀x']],
  ]
  for (const [source, found, not] of characters) {
    test(`${JSON.stringify(source)} by characters`, () => {
      const pattern = compilePattern(source, false, true)
      assert.ok(!('problem' in pattern), 'problem' in pattern ? pattern.problem : '')
      for (const text of found) assert.equal(matchesPattern(pattern, text), true, JSON.stringify(text))
      for (const text of not) assert.equal(matchesPattern(pattern, text), false, JSON.stringify(text))
    })
  }

  test('by characters is one that has properties, if there are such ones', () => {
    for (const source of ['\\p{Nobody}', '\\p', '\\p{gc=L}', '\\x{110000}'])
      assert.ok('problem' in compilePattern(source, false, true), source)
  })

  test('by characters is linear as well', () => {
    const pattern = compilePattern('^(?:[^a]|é)+$', false, true)
    assert.ok(!('problem' in pattern))
    assert.equal(matchesPattern(pattern, `${'é'.repeat(50_000)}a`), false)
  })

  test('ignores the case of ASCII letters only', () => {
    assert.equal(finds('^[a-f]X\\x61[^b-d]$', 'Dxag', true), true)
    assert.equal(finds('^[^b-d]$', 'C', true), false)
    assert.equal(finds('^[Y-b]$', 'A', true), true)
    assert.equal(finds('[[:upper:]]', 'a', true), true)
    assert.equal(finds('(ab)\\1', 'abAB', true), true)
    assert.equal(finds('\xe9', '\xc3\x89', true), false)
  })

  const refused: [source: string, problem: RegExp][] = [
    ['(', /not closed/],
    ['a)', /too many/],
    ['[a', /not closed/],
    ['[b-a]', /wrong order/],
    ['[[:letters:]]', /\[:letters:\]/],
    ['*a', /nothing in front/],
    ['a{3,2}', /wrong order/],
    ['a++', /possessive/],
    ['(?>a)', /\(\?>/],
    ['(?R)', /\(\?R/],
    ['(*UTF8)a', /\(\*U/],
    ['\\', /backslash/],
    ['\\p{L}', /\\p/],
    ['\\K', /\\K/],
    ['\\1', /group/],
    ['(a)\\2', /group/],
    ['\\k<x>', /group/],
    ['\\x{1F600}', /byte/],
    ['('.repeat(300) + ')'.repeat(300), /deeply/],
    ['a(?!b)(c+)+d', /for ever/],
    ['(a|b)\\1(c|d)*', /for ever/],
  ]
  for (const [source, problem] of refused) {
    test(`${source.slice(0, 20)} is refused`, () => {
      const pattern = compilePattern(source, false)
      assert.ok('problem' in pattern)
      assert.match(pattern.problem, problem)
    })
  }
})

test('both entry points set the same flags before anything is compiled', () => {
  const flags = (file: string) =>
    [...readFileSync(new URL(file, import.meta.url), 'utf8').matchAll(/setFlagsFromString\('(.*)'\)/g)].map(
      ([, flag]) => flag,
    )
  assert.deepEqual(flags('../../bin/sluice.js'), flags('regexp-engine.ts'))
  assert.equal(flags('regexp-engine.ts').length, 3)
})

suite('no text keeps an expression busy for ever', () => {
  const evil: [source: string, text: string][] = [
    ['^(a+)+$', `${'a'.repeat(5000)}!`],
    ['^(a|a)*$', `${'a'.repeat(5000)}!`],
    ['^(a|aa)+$', `${'a'.repeat(5000)}!`],
    ['(?i)^(a+)+$', `${'a'.repeat(5000)}!`],
    ['^([a-z]{1,20}){1,20}$', `${'a'.repeat(5000)}!`],
    ['^(?!x)(a+)+$', `${'a'.repeat(5000)}!`],
    ['^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}$', 'a'.repeat(5000)],
    ['(.*)*x(.*)*y', 'b'.repeat(5000)],
  ]
  for (const [source, text] of evil) {
    // With backtracking alone each of these would take longer than the test run is allowed to.
    test(source, () => assert.equal(finds(source, text), false))
  }

  test('what cannot be run in linear time looks at short texts only', () => {
    assert.equal(finds('a(?=b)', `${'x'.repeat(900)}ab`), true)
    assert.equal(finds('a(?=b)', `${'x'.repeat(2000)}ab`), false)
    assert.equal(finds('ab', `${'x'.repeat(1_000_000)}ab`), true)
  })
})
