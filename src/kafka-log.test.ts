import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordOf } from './kafka-log.ts'

const output = {
  type: 'kafka',
  brokers: [],
  topics: ['first', 'error'],
  timestampKey: '@timestamp',
  timestampFormat: 'double',
  acks: 1,
  refresh: 1,
} as const
type Output = Parameters<typeof recordOf>[1]

const made = (fields: object, more: Partial<Output> = {}) =>
  recordOf(JSON.stringify(fields), { ...output, ...more } as unknown as Output)
const time = '2026-01-02T03:04:05.067Z'

test('a line is a message with its time in front', () => {
  assert.deepEqual(made({ level: 'info', time }), {
    topic: 'first',
    key: null,
    value: `{"@timestamp":1767323045.067,"level":"info","time":"${time}"}`,
  })
})

test('the time has the form that is asked for, and stands in place of a field of its name', () => {
  const value = (timestampFormat: Output['timestampFormat']) =>
    made({ time }, { timestampFormat, timestampKey: 'time' }).value
  assert.equal(value('iso8601'), '{"time":"2026-01-02T03:04:05Z"}')
  assert.equal(value('iso8601_ns'), '{"time":"2026-01-02T03:04:05.067000000Z"}')
})

test('fields of a line choose its key and its topic, among those that there are', () => {
  const settings = { messageKey: 'usual', messageKeyField: 'route', topicKey: 'level' }
  const choice = (fields: object) => {
    const { topic, key } = made({ time, ...fields }, settings)
    return [topic, key]
  }
  assert.deepEqual(choice({ level: 'error', route: 7 }), ['error', '7'])
  assert.deepEqual(choice({ level: 'elsewhere', route: {} }), ['first', 'usual'])
})
