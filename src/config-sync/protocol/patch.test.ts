import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { applyJsonPatch } from '../../config/json-patch.ts'
import { canonicalJson } from './canonical.ts'
import { patchBetween } from './patch.ts'

const routes = (...ids: (string | [string, string])[]) =>
  ids.map((id) => (Array.isArray(id) ? { id: id[0], uri: id[1] } : { id, uri: `/${id}` }))

suite('the patch between two values leads from one to the other', () => {
  const cases: [string, unknown, unknown, number][] = [
    ['nothing', { a: 1 }, { a: 1 }, 0],
    ['a member more', { a: 1 }, { a: 1, 'b/~': 2 }, 1],
    ['a member less', { a: 1, b: 2 }, { a: 1 }, 1],
    ['a member less that every object inherits', { a: 1, toString: 2 }, { a: 1 }, 1],
    ['another type', { a: [1] }, { a: { 0: 1 } }, 1],
    ['a route in the middle', { routes: routes('a', 'c') }, { routes: routes('a', 'b', 'c') }, 1],
    ['a route less', { routes: routes('a', 'b', 'c', 'd') }, { routes: routes('a', 'c', 'd') }, 1],
    ['a field of a route', { routes: routes('a', 'b', 'c') }, { routes: routes('a', ['b', '/x'], 'c') }, 1],
    [
      'two routes less, one more',
      { routes: routes('a', 'b', 'c', 'd') },
      { routes: routes('x', 'b', 'd') },
      3,
    ],
    ['another order', { routes: routes('a', 'b', 'c') }, { routes: routes('c', 'b', 'a') }, 4],
    ['a list of numbers', [1, 2, 3, 4], [1, 3, 4, 5, 6], 4],
    ['the whole of it', 1, { a: 1 }, 1],
  ]
  for (const [what, before, after, operations] of cases) {
    test(what, () => {
      const patch = patchBetween(before, after)
      assert.equal(canonicalJson(applyJsonPatch(before, patch)), canonicalJson(after))
      assert.equal(patch.length, operations)
    })
  }

  test('random lists', () => {
    let state = 7
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state % below
    }
    const list = () =>
      Array.from({ length: random(8) }, () =>
        random(3) === 0 ? random(5) : { id: String(random(9)), v: random(3) },
      )
    for (let round = 0; round < 5000; round++) {
      const [before, after] = [list(), list()]
      const patch = patchBetween(before, after)
      assert.deepEqual(applyJsonPatch(before, patch), after, JSON.stringify({ before, after, patch }))
    }
  })

  test('one route of ten thousand is a few bytes', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => ({ id: `r${index}`, uri: `/r/${index}` }))
    const changed = many.map((route, index) => (index === 5000 ? { ...route, uri: '/other' } : route))
    const patch = patchBetween({ routes: many }, { routes: changed })
    assert.deepEqual(patch, [{ op: 'replace', path: '/routes/5000/uri', value: '/other' }])
  })
})

suite('canonical JSON', () => {
  test('is that of RFC 8785, section 3.2.3', () => {
    const value = {
      '€': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '😀': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      ö: 'Latin Small Letter O With Diaeresis',
    }
    assert.deepEqual(Object.values(JSON.parse(canonicalJson(value), (_, item) => item)).length, 7)
    const names = [...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, name]) => name)
    assert.deepEqual(names, [
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  test('has one spelling for numbers, literals, empty things', () => {
    const value = {
      numbers: [1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0],
      a: [null, true, {}, []],
    }
    assert.equal(canonicalJson(value), '{"a":[null,true,{},[]],"numbers":[1e+30,4.5,0.002,1e-27,0]}')
  })

  test('refuses what JSON does not have', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, undefined, () => 1]) {
      assert.throws(() => canonicalJson([value]), TypeError)
    }
  })
})
