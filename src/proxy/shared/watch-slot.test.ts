import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createWatchMemory, WatchSlot } from './watch-slot.ts'

function named() {
  const names = new Map<number, string>()
  const slot = new WatchSlot(createWatchMemory(), (label, name) => void names.set(label, name))
  return { names, slot }
}

suite('labels of code that is watched', () => {
  test('stand for one name each, and what is too much shares the last one', () => {
    const { names, slot } = named()
    const labels = new Set(Array.from({ length: 300 }, (_, index) => slot.label(`f${index}`)))
    assert.equal(labels.size, 255)
    assert.equal(names.get(slot.label('f0')), 'f0')
    assert.equal(names.get(slot.label('f299')), 'one of many')
  })

  test('are given to others when their names are gone, however often code is changed', () => {
    const { names, slot } = named()
    for (let version = 0; version < 1000; version++) {
      const name = `functions/a.ts ${version}`
      assert.equal(names.get(slot.label(name)), name)
      assert.equal(names.get(slot.label('own-policy')), 'own-policy')
      slot.retain((other) => other === name || other === 'own-policy')
    }
  })

  test('are kept while something is awaited from their name', () => {
    const { names, slot } = named()
    const label = slot.label('waiting')
    slot.await(label)
    slot.retain(() => false)
    for (let index = 0; index < 300; index++) slot.label(`f${index}`)
    assert.equal(names.get(label), 'waiting')
    slot.settle(label)
    assert.equal(slot.label('next'), label)
  })
})
