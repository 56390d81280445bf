/**
 * Differential fuzzing of the HTTP/1.1 parsers: `node test/fuzz/run.ts --cases 1000000 --seed 7`.
 * Prints the seed of each case that fails; `--seed` with it and `--cases 1` runs that case alone.
 */
import { parseArgs } from 'node:util'
import { runCases } from './cases.ts'

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    show: { type: 'string', default: '10' },
  },
})
const seed = Number(values.seed ?? Date.now() % 2 ** 32)
const started = performance.now()
const { failures, accepted, refused } = runCases({
  seed,
  cases: Number(values.cases),
  stopAfter: Number(values.show),
})
for (const failure of failures) console.log(`${failure}\n`)
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(
  `seed ${seed}: ${accepted} streams with accepted messages, ${refused} without, ${failures.length} failures, ${seconds} s`,
)
process.exitCode = failures.length > 0 ? 1 : 0
