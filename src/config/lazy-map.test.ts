import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LazyMap } from './lazy-map.ts'

function lengths() {
  const made: string[] = []
  const map = new LazyMap(['one', 'three'], (name) => {
    made.push(name)
    return { length: name.length }
  })
  return { map, made }
}

test('names are known without a value being made', () => {
  const { map, made } = lengths()
  assert.deepEqual([...map.keys()], ['one', 'three'])
  assert.equal(map.size, 2)
  assert.ok(map.has('one') && !map.has('two'))
  assert.equal(map.get('two'), undefined)
  assert.deepEqual(made, [])
})

test('a value is made once, when it is first asked for', () => {
  const { map, made } = lengths()
  assert.equal(map.get('three'), map.get('three'))
  assert.deepEqual(made, ['three'])
})

test('whoever walks over the map gets every value', () => {
  const { map, made } = lengths()
  const visited: string[] = []
  map.forEach(({ length }, name) => {
    visited.push(`${name} ${length}`)
  })
  assert.deepEqual(visited, ['one 3', 'three 5'])
  assert.deepEqual(
    [...map.values()].map(({ length }) => length),
    [3, 5],
  )
  assert.deepEqual(new Map(map), new Map([...map.entries()]))
  assert.deepEqual(made, ['one', 'three'])
})
