/** Counters by name that all threads of the process take turns from. */
import { Records } from './records.ts'

export class TurnCounters {
  readonly #records: Records

  /**
   * @param table from `createRecordTable`
   * @param threadId above 0, and of no other live thread
   */
  constructor(table: SharedArrayBuffer, threadId: number) {
    this.#records = new Records(table, threadId)
  }

  /** @returns the next turn: from 0 to 2^31 - 1, and on from 0. A counter that nobody takes from may begin anew. */
  take(name: string, second: number): number {
    const { words } = this.#records
    const at = this.#records.open(name, second)
    const turn = words[at]!
    words[at] = (turn + 1) & 0x7fff_ffff
    this.#records.close()
    return turn
  }

  /** What `take` would return. */
  look(name: string): number {
    const at = this.#records.find(name)
    const turn = at < 0 ? 0 : this.#records.words[at]!
    this.#records.close()
    return turn
  }
}
