import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DerivedMap, LazyMap } from './lazy-map.ts'

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

test('others come and go beside the fixed names, which keep their values', () => {
  const { map } = lengths()
  const derived = new DerivedMap(map, ({ length }) => ({ double: 2 * length }))
  map.others = new Map([
    ['one', { length: 100 }],
    ['seven', { length: 5 }],
  ])
  assert.deepEqual([...map.keys()], ['one', 'three', 'seven'])
  assert.equal(map.size, 3)
  assert.ok(map.isFixed('one') && !map.isFixed('seven') && derived.has('seven'))
  assert.equal(map.get('one')?.length, 3)
  assert.equal(derived.get('seven')?.double, 10)
  assert.equal(derived.get('seven'), derived.get('seven'))
  map.others = new Map([['seven', { length: 6 }]])
  assert.equal(derived.get('seven')?.double, 12)
  map.others = new Map()
  assert.equal(derived.get('seven'), undefined)
  assert.equal(derived.size, 2)
})
