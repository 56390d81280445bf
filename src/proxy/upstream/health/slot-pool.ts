/** Which slots of a health table are free. The first belongs to nobody. */
export class SlotPool {
  readonly #free: number[] = []
  readonly #size: number
  #next = 1

  constructor(size: number) {
    this.#size = size
  }

  /** Undefined: all are taken. */
  take(): number | undefined {
    const used = this.#free.pop()
    if (used !== undefined) return used
    return this.#next < this.#size ? this.#next++ : undefined
  }

  give(slot: number): void {
    this.#free.push(slot)
  }
}
