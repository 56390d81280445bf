import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseWrk } from './wrk.ts'

const clean = `Running 5s test @ http://127.0.0.1:9080
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.35ms  402.10us  12.80ms   91.20%
    Req/Sec    47.62k     2.10k   50.11k    78.00%
  Latency Distribution
     50%    1.28ms
     75%    1.41ms
     90%    1.60ms
     99%  980.00us
  236912 requests in 5.00s, 71.40MB read
Requests/sec:  47378.40
Transfer/sec:     14.28MB
`

test('totals, rate and latencies are read with their units', () => {
  assert.deepEqual(parseWrk(clean), {
    requests: 236_912,
    seconds: 5,
    requestsPerSecond: 47_378.4,
    p50: 1_280,
    p99: 980,
    refused: 0,
    failed: 0,
  })
})

test('refused answers and socket errors are counted, not overlooked', () => {
  const troubled = clean.replace(
    'Requests/sec',
    '  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 17\nRequests/sec',
  )
  const run = parseWrk(troubled)
  assert.equal(run.failed, 4_321)
  assert.equal(run.refused, 17)
})

test('a minute is not taken for a millisecond', () => {
  assert.equal(parseWrk(clean.replace('in 5.00s', 'in 1.50m')).seconds, 90)
})

test('what wrk says when it could not run is part of the error', () => {
  assert.throws(() => parseWrk('unable to connect to 127.0.0.1:9080 Connection refused'), /unable to connect/)
})
