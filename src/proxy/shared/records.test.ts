import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecordTable, Records, releaseRecordLocks } from './records.ts'

const twoThreads = () => {
  const table = createRecordTable(16)
  return { table, one: new Records(table, 1), two: new Records(table, 2) }
}

function write(records: Records, key: string, value: number, second = 0): void {
  records.words[records.open(key, second)] = value
  records.close()
}

function readValue(records: Records, key: string): number | undefined {
  const at = records.find(key)
  const value = at < 0 ? undefined : records.words[at]
  records.close()
  return value
}

test('what one thread wrote the other reads', () => {
  const { one, two } = twoThreads()
  assert.equal(readValue(one, 'a:route:1:x'), undefined)
  write(one, 'a:route:1:x', 7)
  assert.equal(readValue(two, 'a:route:1:x'), 7)
  assert.equal(readValue(two, 'a:route:1:y'), undefined)
  assert.equal(two.size, 1)
})

test('the record that was written longest ago makes room', () => {
  const { one } = twoThreads()
  for (let n = 0; n < 16; n++) write(one, `a:route:1:${n}`, n, n)
  write(one, 'a:route:1:0', 0, 20)
  write(one, 'a:route:1:new', 99, 21)
  assert.equal(readValue(one, 'a:route:1:1'), undefined)
  assert.equal(readValue(one, 'a:route:1:0'), 0)
  assert.equal(readValue(one, 'a:route:1:new'), 99)
  assert.equal(one.size, 16)
})

test('records of one owner, its parts included, are cleared, or all are', () => {
  const { one, two } = twoThreads()
  for (const key of ['a:route:1:x', 'a:route:1/3:x', 'a:route:11:x', 'a:service:1:x']) write(one, key, 1)
  assert.equal(two.clear('route:1'), 2)
  assert.equal(readValue(one, 'a:route:1:x'), undefined)
  assert.equal(readValue(one, 'a:route:11:x'), 1)
  assert.equal(two.clear(), 2)
  assert.equal(one.size, 0)
  write(one, 'a:route:1:x', 2)
  assert.equal(readValue(two, 'a:route:1:x'), 2)
})

test('the lock of a thread that died is opened', () => {
  const { table, one, two } = twoThreads()
  one.open('a:route:1:x', 0)
  releaseRecordLocks(table, 1)
  assert.equal(readValue(two, 'a:route:1:x'), 0)
})
