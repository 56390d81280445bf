import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { TextTable } from './text-table.ts'

suite('a table of texts', () => {
  test('holds what a Map holds, through any order of changes', () => {
    const table = new TextTable<number>()
    const map = new Map<string, number>()
    let seed = 7
    const next = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return (seed >>> 8) % below
    }
    for (let step = 0; step < 20_000; step++) {
      const key = `host-${next(400)}.example.com`
      if (next(3) === 0) {
        table.delete(key)
        map.delete(key)
      } else {
        table.set(key, step)
        map.set(key, step)
      }
      const asked = `host-${next(400)}.example.com`
      assert.equal(table.get(asked), map.get(asked))
    }
    assert.deepEqual([...table].sort(), [...map].sort())
  })
})
