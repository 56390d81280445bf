import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../test/threads/plan.ts'
import { diffPlans } from './config/diff.ts'
import { PolicyResources } from './policy-resources.ts'

function resources() {
  const held = new PolicyResources()
  const told: string[][] = []
  held.onChanged((changed) => told.push([...changed].flat(2)))
  return { held, told }
}

const none = planOf('gateway: {}')
const jack = planOf('consumers: [{ username: jack }]')
const jackAndJill = planOf('consumers: [{ username: jack }, { username: jill }]')

test('the work sees the new resources already, and listeners hear which kinds changed', () => {
  const { held, told } = resources()
  held.change(diffPlans(null, none), () => {})
  assert.deepEqual(told, [])
  held.change(diffPlans(none, jack), () => assert.ok(held.consumers().has('jack')))
  assert.deepEqual(told, [['consumers', 'jack']])
})

test('when the work fails, everything is as it was and listeners are told again', () => {
  const { held, told } = resources()
  held.change(diffPlans(null, jack), () => {})
  const fail = () => {
    throw new Error('cannot be compiled')
  }
  assert.throws(() => held.change(diffPlans(jack, jackAndJill), fail), /cannot be compiled/)
  assert.deepEqual([...held.consumers().keys()], ['jack'])
  assert.deepEqual(told, [
    ['consumers', 'jack'],
    ['consumers', 'jill'],
    ['consumers', 'jill'],
  ])
})

test('what was replaced and removed comes back when the work fails', () => {
  const { held } = resources()
  const labelled = planOf('consumers: [{ username: jack, labels: { a: b } }]')
  held.change(diffPlans(null, jackAndJill), () => {})
  const [before] = held.consumers().values()
  assert.throws(() =>
    held.change(diffPlans(jackAndJill, labelled), () => {
      assert.deepEqual([...held.consumers().keys()], ['jack'])
      throw new Error('no')
    }),
  )
  assert.deepEqual([...held.consumers().keys()].sort(), ['jack', 'jill'])
  assert.equal(held.consumers().get('jack'), before)
})

test('a delta without resources of policies tells nobody', () => {
  const { held, told } = resources()
  held.change(diffPlans(null, jack), () => {})
  const routed = planOf(`
consumers: [{ username: jack }]
routes: [{ id: a, uri: /a, upstream: { nodes: [{ host: 127.0.0.1, port: 1, weight: 1 }] } }]
`)
  held.change(diffPlans(jack, routed), () => {})
  assert.deepEqual(told, [['consumers', 'jack']])
})
