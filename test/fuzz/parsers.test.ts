/** A slice of the fuzzing that `run.ts` does at length. SLUICE_FUZZ_SEED brings a run back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCases } from './cases.ts'
import { disagreement } from './compare.ts'
import { corpus } from './corpus.ts'

const cases = 30_000

test(`${cases} generated streams are read as llhttp and a strict reader read them`, (t) => {
  const seed = Number(process.env.SLUICE_FUZZ_SEED ?? Date.now() % 2 ** 32)
  t.diagnostic(`SLUICE_FUZZ_SEED=${seed}`)
  const { failures, accepted } = runCases({ seed, cases, stopAfter: 5 })
  assert.deepEqual(failures, [])
  assert.ok(
    accepted > cases / 10,
    `only ${accepted} streams had an acceptable message: the generator is broken`,
  )
})

for (const kind of ['request', 'response'] as const) {
  test(`every ${kind} of the corpus is read alike, cut at every byte`, () => {
    for (const text of corpus[kind]) {
      const bytes = Buffer.from(text, 'latin1')
      const everyByte = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1)
      assert.equal(disagreement(kind, bytes, everyByte), null, JSON.stringify(text))
    }
  })
}
