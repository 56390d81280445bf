import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PrefixForest } from './prefix-forest.ts'

/** Values of all keys that the text begins with, the longest first. */
function along(forest: PrefixForest<string>, root: number, text: string): string[] {
  const values: string[] = []
  for (let node = forest.longest(root, text); node !== 0; node = forest.above(node))
    values.push(forest.value(node)!)
  return values
}

suite('a forest of prefixes', () => {
  test('finds every key that a text begins with, from long to short', () => {
    const forest = new PrefixForest<string>()
    const root = forest.plant()
    for (const key of ['/abc', '/', '/ab/x', '', '/abd', '/a']) forest.setValue(forest.insert(root, key), key)
    assert.deepEqual(along(forest, root, '/abcd'), ['/abc', '/a', '/', ''])
    assert.deepEqual(along(forest, root, '/ab'), ['/a', '/', ''])
    assert.deepEqual(along(forest, root, '/ab/xy'), ['/ab/x', '/a', '/', ''])
    assert.deepEqual(along(forest, root, 'x'), [''])
    assert.deepEqual(along(forest, root, ''), [''])
    assert.deepEqual(along(forest, root, '/\u00e1'), ['/', ''])
  })

  test('keeps trees apart', () => {
    const forest = new PrefixForest<string>()
    const [one, two] = [forest.plant(), forest.plant()]
    forest.setValue(forest.insert(one, '/a'), 'one')
    forest.setValue(forest.insert(two, '/a'), 'two')
    assert.deepEqual([along(forest, one, '/a'), along(forest, two, '/a')], [['one'], ['two']])
    forest.clear(forest.insert(one, '/a'))
    assert.deepEqual([forest.isEmpty(one), forest.isEmpty(two)], [true, false])
  })

  test('is as empty after ten thousand changes as it was before, and uses its nodes again', () => {
    const forest = new PrefixForest<string>()
    const root = forest.plant()
    const keys = Array.from({ length: 500 }, (_, i) => `/r${(i * 7919) % 1000}/${'x'.repeat(i % 3)}`)
    let highest = 0
    for (let round = 0; round < 20; round++) {
      for (const key of keys) forest.setValue(forest.insert(root, key), key)
      for (const key of keys) {
        assert.equal(along(forest, root, `${key}/tail`)[0], key)
        highest = Math.max(highest, forest.longest(root, key))
      }
      for (const key of keys) forest.clear(forest.longest(root, key))
      assert.equal(forest.isEmpty(root), true)
      assert.deepEqual(along(forest, root, keys[0]!), [])
    }
    assert.ok(highest < keys.length * 2, `node ${highest}`)
  })
})
