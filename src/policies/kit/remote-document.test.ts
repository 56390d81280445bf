import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemoteDocument } from './remote-document.ts'

function setUp() {
  const state = { now: 0, loads: 0, fails: false }
  const document = new RemoteDocument(
    async () => {
      state.loads++
      if (state.fails) throw new Error('away')
      return `version ${state.loads}`
    },
    () => state.now,
    { goodFor: 1000, pause: 100 },
  )
  return { state, document }
}

test('it is fetched once for all who ask at the same time, and again when it is old', async () => {
  const { state, document } = setUp()
  assert.deepEqual(await Promise.all([document.get(), document.get()]), ['version 1', 'version 1'])
  state.now = 999
  assert.equal(await document.get(), 'version 1')
  state.now = 1000
  assert.equal(await document.get(), 'version 2')
})

test('what is known stays good while it cannot be fetched', async () => {
  const { state, document } = setUp()
  await document.get()
  state.fails = true
  state.now = 5000
  assert.equal(await document.get(), 'version 1')
  assert.equal(await document.get(), 'version 1')
  assert.equal(state.loads, 2)
})

test('a failure is remembered for as long as the pause lasts', async () => {
  const { state, document } = setUp()
  state.fails = true
  await assert.rejects(document.get(), /away/)
  state.fails = false
  await assert.rejects(document.get(), /away/)
  state.now = 100
  assert.equal(await document.get(), 'version 2')
})

test('nobody can have it fetched more often than the pause allows', async () => {
  const { state, document } = setUp()
  await document.get()
  await document.refresh()
  assert.equal(state.loads, 1)
  state.now = 100
  assert.equal(await document.refresh(), 'version 2')
})
