import { suite, test } from 'node:test'
import { mergePatch, setAtPath } from './patch.ts'

suite('merging', () => {
  test('merges maps, replaces lists, and removes what is null', (t) => {
    const before = { a: { x: 1, y: [1, 2] }, b: 1 }
    const merged = mergePatch(before, { a: { y: [3], z: 2 }, b: null, c: 4 })
    t.assert.deepEqual(merged, { a: { x: 1, y: [3], z: 2 }, c: 4 })
    t.assert.deepEqual(before, { a: { x: 1, y: [1, 2] }, b: 1 })
  })

  test('does not merge a map with a list', (t) => {
    t.assert.deepEqual(mergePatch({ nodes: { a: 1 } }, { nodes: [1] }), { nodes: [1] })
  })
})

suite('setting what stands at a path', () => {
  test('makes the maps on the way', (t) => {
    const before = { a: { b: 1 } }
    t.assert.deepEqual(setAtPath(before, ['a', 'c', 'd'], 2), { value: { a: { b: 1, c: { d: 2 } } } })
    t.assert.deepEqual(before, { a: { b: 1 } })
  })

  test('does not go below a value', (t) => {
    t.assert.deepEqual(setAtPath({ a: 1 }, ['a', 'b'], 2), { problem: 'invalid sub-path: /a' })
  })
})
