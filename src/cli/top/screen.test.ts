import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Reading } from './reading.ts'
import { screen } from './screen.ts'

const status = (route: string, code: number, value: number) =>
  `apisix_http_status{code="${code}",route="${route}"} ${value}`
const bucket = (route: string, le: string, value: number) =>
  `apisix_http_latency_bucket{type="request",route="${route}",le="${le}"} ${value}`

const before = `
sluice_requests_total 100
process_cpu_seconds_total 10
${status('orders', 200, 90)}
${status('orders', 502, 10)}
${bucket('orders', '10', 100)}
${bucket('orders', '500', 100)}
${bucket('orders', '+Inf', 100)}
`
const after = `
# TYPE sluice_ready gauge
sluice_ready 1
sluice_config_version 3
sluice_threads 2
sluice_requests_total 500
process_cpu_seconds_total 11
process_resident_memory_bytes 104857600
nodejs_eventloop_utilization{thread="control"} 0.9
nodejs_eventloop_utilization{thread="1"} 0.25
${status('orders', 200, 280)}
${status('orders', 502, 20)}
${status('users', 404, 200)}
${bucket('orders', '10', 200)}
${bucket('orders', '500', 290)}
${bucket('orders', '+Inf', 300)}
apisix_upstream_status{name="/upstreams/a",ip="127.0.0.1",port="1"} 1
apisix_upstream_status{name="/upstreams/b",ip="127.0.0.1",port="1"} 1
apisix_upstream_status{name="/upstreams/b",ip="127.0.0.1",port="2"} 0
sluice_upstream_breaker_limit{upstream="b",limit="requests"} 10
sluice_upstream_breaker_current{upstream="b",limit="requests"} 9
sluice_upstream_breaker_limit{upstream="a",limit="requests"} 10
sluice_upstream_breaker_current{upstream="a",limit="requests"} 1
`

suite('what sluice top shows', () => {
  const text = screen(new Reading(before), new Reading(after), 2)
  const line = (start: string) => text.split('\n').find((candidate) => candidate.startsWith(start)) ?? ''

  test('counts what happened between the two readings, by second', () => {
    assert.match(line('clients'), /200\/s requests/)
    assert.match(line('load'), /CPU 50 % +busiest thread 25 %.* memory 100 MiB/)
    assert.match(line('gateway'), /ready +configuration 3/)
  })

  test('has the routes with the most requests first, with errors and the bounds of their latencies', () => {
    const [, ...rows] = text.slice(text.indexOf('ROUTE')).split('\n\n')[0]!.trim().split('\n')
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/)),
      [
        ['orders', '100/s', '0', '5.0 %', '10', 'over', '-'],
        ['users', '100/s', '100.0 %', '0', '-', '-', '-'],
      ],
    )
  })

  test('has upstreams in trouble first', () => {
    const names = [...text.matchAll(/^\/upstreams\/(\w)/gm)].map(([, name]) => name)
    assert.deepEqual(names, ['b', 'a'])
    assert.match(line('/upstreams/b'), /1 of 2 .*DEGRADED$/)
  })

  test('has limits that are close to their end, and no others', () => {
    const limits = text.slice(text.indexOf('LIMIT OF'))
    assert.match(limits, /^b +requests +9 of 10/m)
    assert.doesNotMatch(limits, /^a /m)
  })

  test('shows nothing of what there is not', () => {
    const bare = screen(new Reading(''), new Reading('sluice_ready 0'), 1)
    assert.match(bare, /NOT READY/)
    assert.doesNotMatch(bare, /ROUTE|UPSTREAM|LIMIT/)
  })

  test('a gateway that started again between two readings shows no negative numbers', () => {
    assert.doesNotMatch(screen(new Reading(after), new Reading(before), 2), /-\d/)
  })
})

test('labels may hold quotes, brackets and commas', () => {
  const reading = new Reading('a{b="x\\"}, {",c="d\\\\"} 1')
  assert.deepEqual(reading.samples('a'), [{ labels: { b: 'x"}, {', c: 'd\\' }, value: 1 }])
})
