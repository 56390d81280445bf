import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContractSpec } from '../../config/plan.ts'
import { ContractIndex } from './contracts.ts'

const binding = (routeId: string, serviceId: string) => ({
  routeId,
  serviceId,
  routeName: '',
  serviceName: '',
  matchedUri: '',
  matchedHost: '',
})

function indexOf(...contracts: ContractSpec[]): ContractIndex {
  const byId = new Map(contracts.map((contract) => [contract.id, contract]))
  return new ContractIndex(() => byId)
}

test('the most particular contract counts: route, then service, then every API', () => {
  const index = indexOf(
    { id: 'all', consumer: 'shop', tier: 'a' },
    { id: 'service', consumer: 'shop', service_id: 's1', tier: 'b' },
    { id: 'route', consumer: 'shop', route_id: 'r1', tier: 'c' },
  )
  assert.equal(index.find('shop', binding('r1', 's1'))?.id, 'route')
  assert.equal(index.find('shop', binding('r2', 's1'))?.id, 'service')
  assert.equal(index.find('shop', binding('r2', 's2'))?.id, 'all')
  assert.equal(index.find('bank', binding('r1', 's1')), undefined)
})

test('an API is governed by contracts once one names it, or every API', () => {
  const index = indexOf(
    { id: '1', consumer: 'shop', service_id: 's1', tier: 'a' },
    { id: '2', consumer: 'shop', route_id: 'r9', tier: 'a' },
  )
  assert.equal(index.governs(binding('r1', 's1')), true)
  assert.equal(index.governs(binding('r9', '')), true)
  assert.equal(index.governs(binding('r1', 's2')), false)
  assert.equal(indexOf().governs(binding('r1', 's1')), false)
  assert.equal(indexOf({ id: '3', consumer: 'shop', tier: 'a' }).governs(binding('r1', 's1')), true)
})

test('changes count from the next lookup after invalidate', () => {
  const contracts = new Map<string, ContractSpec>([
    ['1', { id: '1', consumer: 'shop', service_id: 's1', tier: 'a' }],
  ])
  const index = new ContractIndex(() => contracts)
  assert.ok(index.find('shop', binding('r1', 's1')))
  contracts.clear()
  index.invalidate()
  assert.equal(index.find('shop', binding('r1', 's1')), undefined)
  assert.equal(index.governs(binding('r1', 's1')), false)
})
