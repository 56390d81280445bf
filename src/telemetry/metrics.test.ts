import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Announcement, createMetricMemory, overflowLabel, Registry, type Series } from './metrics.ts'

function registryWith(options: { slots?: number; labelSets?: number } = {}) {
  const memory = createMetricMemory(options.slots ?? 1000)
  const announcements: Announcement[] = []
  const registry = new Registry(memory, (announcement) => announcements.push(announcement), options.labelSets)
  const values = new Float64Array(memory)
  const series = () => announcements.flatMap((one): Series[] => (one.type === 'series' ? [one.series] : []))
  return { registry, announcements, series, values }
}

test('a label set is announced once, and its slot counts in the shared memory', () => {
  const { registry, announcements, series, values } = registryWith()
  const statuses = registry.counter('apisix_http_status', 'HTTP status codes.', ['code', 'route'])
  const slot = statuses.slot(['200', 'users'])
  assert.equal(statuses.slot(['200', 'users']), slot)
  statuses.add(slot, 1)
  registry.add(slot, 2)
  assert.equal(values[slot], 3)
  assert.deepEqual(announcements[0], {
    type: 'metric',
    definition: {
      name: 'apisix_http_status',
      help: 'HTTP status codes.',
      kind: 'counter',
      labelNames: ['code', 'route'],
      buckets: [],
    },
  })
  assert.deepEqual(series(), [
    { metric: 'apisix_http_status', labels: [overflowLabel, overflowLabel], slot: 0 },
    { metric: 'apisix_http_status', labels: ['200', 'users'], slot },
  ])
})

test('label values that join to the same text are different label sets', () => {
  const { registry } = registryWith()
  const counter = registry.counter('c', 'Help.', ['a', 'b'])
  assert.notEqual(counter.slot(['x,', 'y']), counter.slot(['x', ',y']))
  assert.notEqual(counter.slot(['', 'x']), counter.slot(['x', '']))
})

test('a histogram counts a value in the first bucket that holds it, and adds it to the sum', () => {
  const { registry, values } = registryWith()
  const latency = registry.histogram('latency', 'Latency.', [], [1, 2, 5])
  const slot = latency.slot([])
  for (const value of [0.5, 1, 1.5, 5, 7]) latency.observe(slot, value)
  // Buckets up to 1, 2 and 5, then +Inf, then the sum.
  assert.deepEqual([...values.subarray(slot, slot + 5)], [2, 1, 1, 1, 15])
})

test('a second definition of a metric is the first one; another shape throws', () => {
  const { registry } = registryWith()
  const first = registry.counter('requests', 'Requests.', ['code'])
  assert.equal(registry.counter('requests', 'Requests.', ['code']), first)
  assert.throws(() => registry.counter('requests', 'Requests.', ['status']), /already defined/)
  assert.throws(() => registry.histogram('requests', 'Requests.', ['code'], [1]), /already defined/)
})

test('above the cap, label sets share the overflow series', () => {
  const { registry, series, values } = registryWith({ labelSets: 2 })
  const counter = registry.counter('requests', 'Requests.', ['path'])
  for (const path of ['/a', '/b', '/c', '/d', '/a']) counter.add(counter.slot([path]), 1)
  assert.deepEqual(
    series().map(({ labels, slot }) => [labels[0], values[slot]]),
    [
      [overflowLabel, 2],
      ['/a', 2],
      ['/b', 1],
    ],
  )
})

test('when the memory is used up, label sets share the overflow series', () => {
  const { registry, values } = registryWith({ slots: 9 })
  const latency = registry.histogram('latency', 'Latency.', ['route'], [1, 2])
  const kept = latency.slot(['kept'])
  const overflow = latency.slot(['one too many'])
  latency.observe(overflow, 3)
  assert.deepEqual([kept, overflow], [4, 0])
  assert.deepEqual([...values.subarray(0, 4)], [0, 0, 1, 3])
})

test('a metric without labels is the series that its slot names', () => {
  const { registry, values } = registryWith()
  const counter = registry.counter('restarts', 'Restarts.')
  counter.add(counter.slot([]), 4)
  assert.equal(values[counter.slot([])], 4)
})
