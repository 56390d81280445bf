/** Circuits that break after bad answers, for longer each time, and the same for all threads of the process. */
import { Records } from './records.ts'

export interface CircuitRule {
  /** Bad answers until it breaks. */
  readonly failures: number
  /** Good answers until what was bad is forgotten. */
  readonly successes: number
  /** Longest time for which it breaks, in seconds. */
  readonly longest: number
}

const bad = 0
const good = 1
/** The second in which it last broke, + 1; 0: it did not. */
const broken = 2

/** Of a key, only as long as there were bad answers. Times are whole seconds of a clock that all threads share. */
export class Circuits {
  readonly #records: Records

  /**
   * @param table from `createRecordTable`
   * @param threadId above 0, and of no other live thread
   */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.#records = new Records(table, threadId)
  }

  isBroken(key: string, { failures, longest }: CircuitRule, second: number): boolean {
    const records = this.#records
    if (records.size === 0) return false
    const at = records.find(key)
    const brokenAt = at < 0 ? 0 : records.words[at + broken]!
    const times = at < 0 ? 0 : Math.max(1, Math.floor(records.words[at + bad]! / failures))
    records.close()
    return brokenAt !== 0 && second <= brokenAt - 1 + Math.min(2 ** times, longest)
  }

  failed(key: string, { failures }: CircuitRule, second: number): void {
    const { words } = this.#records
    const at = this.#records.open(key, second)
    words[at + bad]! += 1
    words[at + good] = 0
    if (words[at + bad]! % failures === 0) words[at + broken] = second + 1
    this.#records.close()
  }

  succeeded(key: string, { successes }: CircuitRule): void {
    const records = this.#records
    if (records.size === 0) return
    const at = records.find(key)
    if (at >= 0) {
      records.words[at + good]! += 1
      if (records.words[at + good]! >= successes) records.remove(at)
    }
    records.close()
  }
}
