import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { catalogue, type PolicyName } from '../src/policies/index.ts'
import { startExampleServices } from '../test/harness/example-services.ts'
import { costOf, costTable, groups, notMeasured } from './policy-costs.ts'

const services = await startExampleServices()
after(() => services.stop())

test('every policy of the catalogue is measured, or there is a reason', () => {
  const names = [...catalogue.keys()] as PolicyName[]
  const measured = groups(names, services).flatMap((group) => group.names)
  assert.deepEqual([...measured, ...Object.keys(notMeasured)].sort(), names.toSorted())
})

test('those of a group are measured against the same route, with the same request', () => {
  const [first, second] = groups(['cors', 'acl', 'consumer-restriction', 'gzip'], services)
  assert.deepEqual(first, { base: 'plain.example.com', request: {}, names: ['cors', 'gzip'] })
  assert.deepEqual(second?.names, ['acl', 'consumer-restriction'])
})

test('a cost is what the policy adds in the same round, the drift of the round shared out', () => {
  const rounds = [
    { with: 31, without: [28, 30] },
    { with: 43, without: [40, 40] },
    { with: 36, without: [32, 32] },
  ] as const
  const { added, isNoise } = costOf(rounds)
  assert.deepEqual(added, { median: 3, min: 2, max: 4 })
  assert.equal(isNoise, false)
})

test('a difference smaller than that of the same route to itself shows nothing', () => {
  assert.ok(costOf([{ with: 31, without: [28, 32] }]).isNoise)
  const signs = [
    { with: 31, without: [30, 30] },
    { with: 29, without: [30, 30] },
    { with: 33, without: [30, 30] },
  ] as const
  assert.ok(costOf(signs).isNoise)
})

test('the table marks what is within the noise, and has HAProxy where it was measured', () => {
  const shown = costOf([{ with: 32, without: [30, 30] }])
  const hidden = costOf([{ with: 31, without: [28, 32] }])
  const { rows } = costTable(
    new Map([
      ['cors', shown],
      ['gzip', hidden],
    ]),
    new Map([['cors', hidden]]),
  )
  assert.deepEqual(rows, [
    ['cors', '2.0 [2.0-2.0]', '30.0', '~ 1.0 [1.0-1.0]'],
    ['gzip', '~ 1.0 [1.0-1.0]', '30.0', '-'],
  ])
})
