import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseH2load } from './h2load.ts'

const text = `finished in 3.00s, 1.00 req/s, 100.32KB/s
requests: 6 total, 6 started, 4 done, 3 succeeded, 2 failed, 1 errored, 0 timeout
status codes: 3 2xx, 0 3xx, 0 4xx, 1 5xx
`

test('totals come from the text, latencies from the log', () => {
  const log = '1\t200\t300\n2\t200\t100\n3\t503\t900\n4\t200\t200\n'
  assert.deepEqual(parseH2load(text, log, 2), {
    requests: 4,
    seconds: 2,
    requestsPerSecond: 2,
    p50: 200,
    p99: 300,
    refused: 1,
    failed: 1,
  })
})

test('a run without answers is none', () => {
  assert.throws(() => parseH2load('could not connect', '', 1), SyntaxError)
})
