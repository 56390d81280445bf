import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Histogram } from './histogram.ts'

suite('histogram', () => {
  test('every value falls into a bucket that holds it and is narrower than 1.6 % of it', () => {
    const values = [0, 1, 63, 64, 65, 127, 128, 1_000, 4_095, 4_096, 123_456, 10 ** 9, 2 ** 31 - 1]
    for (const value of values) {
      const histogram = new Histogram()
      histogram.record(value)
      const [bucket, ...others] = [...histogram]
      assert.equal(others.length, 0)
      assert.ok(bucket!.from <= value && value <= bucket!.to, `${value} in ${bucket!.from} to ${bucket!.to}`)
      assert.ok(bucket!.to - bucket!.from <= value / 64, `width of the bucket of ${value}`)
    }
  })

  test('buckets follow each other without gap or overlap', () => {
    const histogram = new Histogram()
    for (let value = 0; value < 5_000; value++) histogram.record(value)
    let next = 0
    for (const { from, to, count } of histogram) {
      assert.equal(from, next)
      next = to + 1
      assert.equal(count, Math.min(next, 5_000) - from)
    }
    assert.equal(histogram.count, 5_000)
  })

  test('percentiles of known values', () => {
    const histogram = new Histogram()
    for (let value = 1; value <= 1_000; value++) histogram.record(value * 100)
    for (const [share, exact] of [
      [0.5, 50_000],
      [0.9, 90_000],
      [0.99, 99_000],
    ] as const) {
      const seen = histogram.percentile(share)
      assert.ok(seen >= exact && seen <= exact * 1.016, `${share}: ${seen}`)
    }
    assert.equal(histogram.percentile(1), 100_000)
    assert.equal(histogram.min, 100)
    assert.equal(histogram.max, 100_000)
    assert.equal(histogram.mean, 50_050)
  })

  test('one slow answer in a hundred shows at p99.9 and not at p99', () => {
    const histogram = new Histogram()
    for (let count = 0; count < 99; count++) histogram.record(1_000)
    histogram.record(5_000_000)
    assert.ok(histogram.percentile(0.99) < 1_016)
    assert.equal(histogram.percentile(0.999), 5_000_000)
  })

  test('octaves cover everything from the smallest to the largest, empty ones between included', () => {
    const histogram = new Histogram()
    for (const value of [3, 1_000, 1_023, 5_000]) histogram.record(value)
    const octaves = histogram.octaves()
    assert.deepEqual(octaves[0], { from: 2, to: 3, count: 1 })
    assert.deepEqual(octaves.at(-1), { from: 4_096, to: 8_191, count: 1 })
    assert.equal(octaves.find(({ from }) => from === 512)?.count, 2)
    assert.equal(octaves.length, 12)
  })

  test('without values everything is zero', () => {
    const histogram = new Histogram()
    assert.deepEqual(
      [histogram.min, histogram.max, histogram.mean, histogram.percentile(0.99), histogram.octaves()],
      [0, 0, 0, 0, []],
    )
  })
})
