import assert from 'node:assert/strict'
import { createHash, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { CacheTable, createCacheTable, releaseCacheLock } from './cache-table.ts'

const digest = (name: string) => createHash('sha256').update(name).digest()
const size = 256 * 1024

function zone(threadId = 1) {
  const memory = createCacheTable(size)
  return { memory, table: new CacheTable(memory, size, threadId) }
}

test('what one thread stored, another finds, replaces and removes', () => {
  const { memory, table } = zone()
  const other = new CacheTable(memory, size, 2)
  assert.equal(table.put(digest('a'), [Buffer.from('head '), Buffer.from('body')], 1), true)
  assert.equal(other.get(digest('a'))?.toString(), 'head body')
  other.put(digest('a'), [Buffer.from('new')], 1)
  assert.equal(table.get(digest('a'))?.toString(), 'new')
  assert.equal(table.remove(digest('a')), true)
  assert.equal(other.get(digest('a')), null)
  assert.equal(other.remove(digest('a')), false)
  assert.equal(other.count, 0)
})

test('an entry of no bytes is one all the same', () => {
  const { table } = zone()
  table.put(digest('empty'), [], 1)
  assert.equal(table.get(digest('empty'))?.length, 0)
})

test('the entry that was not used for the longest time makes room', () => {
  const { table } = zone()
  const piece = Buffer.alloc(60 * 1024, 'x')
  for (const name of ['a', 'b', 'c', 'd']) table.put(digest(name), [piece], 1)
  table.get(digest('a'))
  table.put(digest('e'), [piece], 1)
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].filter((name) => table.get(digest(name)) !== null),
    ['a', 'c', 'd', 'e'],
  )
})

test('an entry larger than a quarter of the zone is not stored, and costs none that is', () => {
  const { table } = zone()
  table.put(digest('a'), [Buffer.from('kept')], 1)
  assert.equal(table.put(digest('large'), [Buffer.alloc(size / 4 + 1)], 1), false)
  assert.equal(table.get(digest('a'))?.toString(), 'kept')
})

test('agrees with a model over random stores, removals and evictions', () => {
  const { table } = zone()
  const model = new Map<string, Buffer>()
  for (let step = 0; step < 5000; step++) {
    const name = `k${randomInt(200)}`
    if (randomInt(5) === 0) {
      table.remove(digest(name))
      model.delete(name)
    } else if (randomInt(2) === 0) {
      const body = Buffer.alloc(randomInt(9000), name)
      table.put(digest(name), [body.subarray(0, 10), body.subarray(10)], 1)
      model.set(name, body)
    } else {
      const found = table.get(digest(name))
      // What had to make room may be missing; what is there is the last that was stored.
      if (found !== null) assert.ok(model.get(name)?.equals(found), `step ${step}: ${name}`)
    }
  }
  const there = [...model.keys()].filter((name) => table.get(digest(name)) !== null)
  assert.equal(there.length, table.count)
})

test('what one owner has is forgotten, and what others have is not', () => {
  const { table } = zone()
  for (let n = 0; n < 40; n++) table.put(digest(`k${n}`), [Buffer.from(`body ${n}`)], n % 4)
  assert.equal(table.removeOwned(3), 10)
  assert.equal(table.removeOwned(3), 0)
  assert.equal(table.count, 30)
  for (let n = 0; n < 40; n++) {
    assert.equal(table.get(digest(`k${n}`))?.toString(), n % 4 === 3 ? undefined : `body ${n}`)
  }
})

test('a zone that a dead thread left locked is emptied and opened', () => {
  const { memory, table } = zone()
  table.put(digest('a'), [Buffer.from('a')], 1)
  new Int32Array(memory)[0] = 2
  releaseCacheLock(memory, size, 3)
  assert.equal(new Int32Array(memory)[0], 2)
  releaseCacheLock(memory, size, 2)
  assert.equal(table.get(digest('a')), null)
  assert.equal(table.put(digest('b'), [Buffer.from('b')], 1), true)
})
