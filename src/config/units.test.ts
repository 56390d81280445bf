import { test } from 'node:test'
import { durationPattern, parseDuration, parseSize, sizePattern } from './units.ts'

test('durations become milliseconds', (t) => {
  t.assert.deepEqual(
    ['0', '250ms', '10s', '1.5s', '5m', '2h'].map(parseDuration),
    [0, 250, 10_000, 1500, 300_000, 7_200_000],
  )
})

test('sizes become bytes', (t) => {
  t.assert.deepEqual(
    ['0', '17', '17B', '32KiB', '1MiB', '1GiB', 4096].map(parseSize),
    [0, 17, 17, 32_768, 1_048_576, 1_073_741_824, 4096],
  )
})

test('a number needs its unit, and the unit must be known', (t) => {
  for (const text of ['10', '10 s', 's', '-1s', '1d', '1s1s']) t.assert.doesNotMatch(text, durationPattern)
  for (const text of ['32K', '32kb', '-1', '1.5MiB', 'KiB']) t.assert.doesNotMatch(text, sizePattern)
})
