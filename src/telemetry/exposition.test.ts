import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEngineCounterMemory, EngineCounters, engineCounter } from './engine-counters.ts'
import { Exposition, type GatewayFacts } from './exposition.ts'
import { createMetricMemory, Registry } from './metrics.ts'
import { createThreadGaugeMemory, ThreadPulse, threadGauge } from './thread-gauges.ts'

const facts: GatewayFacts = {
  id: 'run',
  version: '1.2.3',
  configVersion: 7,
  configAppliedAt: 1_700_000_000_500,
  configRejected: 2,
  threadRestarts: 1,
  connectionsLost: 2,
  openConnections: 5,
  limiterEvictions: 9,
  stateClears: 0,
  ready: true,
}

function exposition(): Exposition {
  return new Exposition(() => facts, createThreadGaugeMemory())
}

function threadOf(whole: Exposition, threadId: number) {
  const telemetry = {
    metrics: createMetricMemory(1000),
    counters: createEngineCounterMemory(),
    gauges: createThreadGaugeMemory(),
  }
  whole.addThread(threadId, telemetry)
  const registry = new Registry(telemetry.metrics, (announcement) => whole.announce(threadId, announcement))
  return { registry, counters: new EngineCounters(telemetry.counters), gauges: telemetry.gauges }
}

/** The lines of one metric, without help and type. */
async function linesOf(whole: Exposition, name: string): Promise<string[]> {
  const { text } = await whole.render()
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

test('a counter is the sum of all threads, and of those that died', async () => {
  const whole = exposition()
  for (const threadId of [1, 2]) {
    const { registry } = threadOf(whole, threadId)
    const statuses = registry.counter('apisix_http_status', 'HTTP status codes.', ['code', 'route'])
    statuses.add(statuses.slot(['200', 'users']), 10 * threadId)
    if (threadId === 2) statuses.add(statuses.slot(['503', '']), 1)
  }
  const expected = [
    'apisix_http_status{code="200",route="users"} 30',
    'apisix_http_status{code="503",route=""} 1',
  ]
  assert.deepEqual(await linesOf(whole, 'apisix_http_status'), expected)

  whole.retireThread(2)
  assert.deepEqual(await linesOf(whole, 'apisix_http_status'), expected)

  const { registry } = threadOf(whole, 2)
  const statuses = registry.counter('apisix_http_status', 'HTTP status codes.', ['code', 'route'])
  statuses.add(statuses.slot(['200', 'users']), 1)
  assert.equal(
    (await linesOf(whole, 'apisix_http_status'))[0],
    'apisix_http_status{code="200",route="users"} 31',
  )
})

test('a histogram has cumulative buckets, a sum and a count', async () => {
  const whole = exposition()
  for (const threadId of [1, 2]) {
    const { registry } = threadOf(whole, threadId)
    const latency = registry.histogram('apisix_http_latency', 'Latency in ms.', ['type'], [1, 5])
    const slot = latency.slot(['request'])
    for (const value of [0.5, 4, 9]) latency.observe(slot, value)
  }
  const { text } = await whole.render()
  assert.match(text, /^# HELP apisix_http_latency Latency in ms\.\n# TYPE apisix_http_latency histogram$/m)
  assert.deepEqual(
    text.split('\n').filter((line) => line.startsWith('apisix_http_latency')),
    [
      'apisix_http_latency_bucket{type="request",le="1"} 2',
      'apisix_http_latency_bucket{type="request",le="5"} 4',
      'apisix_http_latency_bucket{type="request",le="+Inf"} 6',
      'apisix_http_latency_sum{type="request"} 27',
      'apisix_http_latency_count{type="request"} 6',
    ],
  )
})

test('label values are escaped', async () => {
  const whole = exposition()
  const { registry } = threadOf(whole, 1)
  const counter = registry.counter('odd', 'Odd labels.', ['uri'])
  counter.add(counter.slot(['/a"b\\c\nd']), 1)
  assert.deepEqual(await linesOf(whole, 'odd'), ['odd{uri="/a\\"b\\\\c\\nd"} 1'])
})

test('the overflow series shows once it counted something', async () => {
  const whole = exposition()
  const { registry } = threadOf(whole, 1)
  const counter = registry.counter('requests', 'Requests.', ['path'])
  assert.deepEqual(await linesOf(whole, 'requests'), [])
  counter.add(0, 3)
  assert.deepEqual(await linesOf(whole, 'requests'), ['requests{path="_overflow"} 3'])
})

test('engine counters are summed, and connections told by state', async () => {
  const whole = exposition()
  const first = threadOf(whole, 1)
  const second = threadOf(whole, 2)
  first.counters.add(engineCounter.requests, 10)
  first.counters.add(engineCounter.responses, 8)
  second.counters.add(engineCounter.requests, 5)
  second.counters.add(engineCounter.responses, 4)
  second.counters.add(engineCounter.connections_accepted, 6)
  second.counters.add(engineCounter.connections_refused, 2)
  assert.deepEqual(await linesOf(whole, 'sluice_requests_total'), ['sluice_requests_total 15'])
  const states = (writing: number) => [
    'apisix_nginx_http_current_connections{state="active"} 5',
    'apisix_nginx_http_current_connections{state="reading"} 0',
    `apisix_nginx_http_current_connections{state="writing"} ${writing}`,
    `apisix_nginx_http_current_connections{state="waiting"} ${5 - writing}`,
    'apisix_nginx_http_current_connections{state="accepted"} 8',
    'apisix_nginx_http_current_connections{state="handled"} 6',
  ]
  assert.deepEqual(await linesOf(whole, 'apisix_nginx_http_current_connections'), states(3))
  whole.retireThread(2)
  assert.deepEqual(await linesOf(whole, 'sluice_requests_total'), ['sluice_requests_total 15'])
  assert.deepEqual(await linesOf(whole, 'apisix_nginx_http_current_connections'), states(2))
})

test('what the control thread knows is there', async () => {
  const { text, contentType } = await exposition().render()
  assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8')
  for (const line of [
    'sluice_config_version 7',
    'sluice_config_last_success_timestamp_seconds 1700000000.5',
    'sluice_config_rejected_total 2',
    'sluice_thread_restarts_total 1',
    'sluice_thread_connections_lost_total 2',
    'sluice_limiter_evictions_total 9',
    'sluice_ready 1',
    'sluice_threads 0',
    'nodejs_eventloop_lag_seconds{thread="control"} 0',
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line)
  }
  assert.match(text, /^process_resident_memory_bytes \d{7,}$/m)
  assert.match(text, /^process_cpu_seconds_total \d/m)
  assert.match(text, /^apisix_node_info\{hostname=".+",version="1\.2\.3"\} 1$/m)
})

test('a pulse tells of a blocked event loop', async () => {
  const memory = createThreadGaugeMemory()
  const values = new Float64Array(memory)
  const pulse = new ThreadPulse(memory, 200)
  const block = new Int32Array(new SharedArrayBuffer(4))
  // A block that begins just before a beat falls between two measurements, so the beat is met in different phases.
  for (let wait = 50; values[threadGauge.lag_max]! < 0.05; wait += 17) {
    Atomics.wait(block, 0, 0, 100)
    await new Promise((resolve) => setTimeout(resolve, 50 + (wait % 250)))
  }
  pulse.stop()
  assert.ok(values[threadGauge.heap_used]! > 1e6)
  assert.ok(values[threadGauge.lag_p99]! <= values[threadGauge.lag_max]!)
})

test('a gauge is the sum of what threads have now: it survives a clearing, and what a dead thread had is gone', async () => {
  const whole = exposition()
  const [one, two] = [1, 2].map((threadId) => {
    const { registry } = threadOf(whole, threadId)
    const entries = registry.gauge('apisix_batch_process_entries', 'Entries.', ['name'])
    return { registry, entries, slot: entries.slot(['x']) }
  })
  one!.entries.add(one!.slot, 3)
  two!.entries.add(two!.slot, 4)
  one!.registry.clear()
  assert.deepEqual(await linesOf(whole, 'apisix_batch_process_entries'), [
    'apisix_batch_process_entries{name="x"} 7',
  ])
  whole.retireThread(2)
  assert.deepEqual(await linesOf(whole, 'apisix_batch_process_entries'), [
    'apisix_batch_process_entries{name="x"} 3',
  ])
})

test('names that begin with apisix_ can begin otherwise', async () => {
  const whole = new Exposition(() => facts, createThreadGaugeMemory(), 'edge_')
  const { registry } = threadOf(whole, 1)
  const latency = registry.histogram('apisix_http_latency', 'Latency.', ['type'], [1])
  latency.observe(latency.slot(['request']), 2)
  const { text } = await whole.render()
  assert.match(text, /^edge_http_latency_count\{type="request"\} 1$/m)
  assert.match(text, /^edge_node_info\{/m)
  assert.match(text, /^sluice_ready 1$/m)
  assert.doesNotMatch(text, /apisix_/)
})

test('a series in which nothing was counted for its lifetime is left out, and begins anew', async () => {
  const whole = exposition()
  const { registry } = threadOf(whole, 1)
  const statuses = registry.counter('apisix_http_status', 'HTTP status codes.', ['code'])
  const [ok, failed] = [statuses.slot(['200']), statuses.slot(['500'])]
  const lifetimes = new Map([['apisix_http_status', 1000]])
  statuses.add(ok, 5)
  statuses.add(failed, 1)
  whole.expireSeries(lifetimes, 1000)
  statuses.add(failed, 1)
  whole.expireSeries(lifetimes, 1500)
  whole.expireSeries(lifetimes, 2000)
  assert.deepEqual(await linesOf(whole, 'apisix_http_status'), ['apisix_http_status{code="500"} 2'])
  statuses.add(ok, 1)
  assert.deepEqual(await linesOf(whole, 'apisix_http_status'), [
    'apisix_http_status{code="200"} 1',
    'apisix_http_status{code="500"} 2',
  ])
})
