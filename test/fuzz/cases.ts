import { disagreement } from './compare.ts'
import { EngineReader } from './engine-reader.ts'
import { cuts, generate } from './generate.ts'
import { Random } from './random.ts'
import type { Kind } from './reading.ts'

export interface FuzzRun {
  /** Of the first case; the next has the next number. */
  seed: number
  cases: number
  /** Failures after which there is nothing more to learn. */
  stopAfter: number
}

export interface FuzzResult {
  failures: string[]
  /** Cases in which the engine accepted at least one message, so that a run shows that it tested something. */
  accepted: number
  refused: number
}

/** No case needs longer, whatever its bytes, in milliseconds. */
const longest = 1000

export function runCases({ seed, cases, stopAfter }: FuzzRun): FuzzResult {
  const engine = new EngineReader()
  const result: FuzzResult = { failures: [], accepted: 0, refused: 0 }
  for (let number = 0; number < cases && result.failures.length < stopAfter; number++) {
    const caseSeed = (seed + number) >>> 0
    const random = new Random(caseSeed)
    const kind: Kind = random.once(3) ? 'response' : 'request'
    const bytes = generate(random, kind)
    const started = performance.now()
    let problem: string | null
    try {
      problem = disagreement(kind, bytes, cuts(random, bytes.length))
      if (engine.read(kind, [bytes]).messages.length > 0) result.accepted++
      else result.refused++
    } catch (error) {
      problem = `threw ${(error as Error).stack}`
    }
    if (performance.now() - started > longest) problem ??= 'took too long'
    if (problem !== null) {
      result.failures.push(
        `seed ${caseSeed}, ${kind} ${JSON.stringify(bytes.toString('latin1'))}\n  ${problem}`,
      )
    }
  }
  return result
}
