import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldNamesFinding, operationsOf } from './field-operations.ts'

test('a map without operations sets what it names', () => {
  assert.deepEqual(operationsOf({ 'X-A': '1', set: 'a field' }), { set: { 'X-A': '1', set: 'a field' } })
  assert.deepEqual(operationsOf({ remove: ['X-A'] }), { remove: ['X-A'] })
})

test('names that no policy can write', () => {
  assert.equal(fieldNamesFinding(['X-A', 'host'], 'headers', ['host']), undefined)
  assert.equal(fieldNamesFinding(['X-A', '']), 'invalid field length in header')
  assert.equal(fieldNamesFinding(['X A']), 'invalid field character in header')
  assert.match(fieldNamesFinding(['Connection'], 'fields')!, /^fields: Connection is the gateway’s own/)
})
