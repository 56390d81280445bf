/** So many at once, the others in the order in which they came. Who takes too long goes on beside the next. */
export class Turns {
  readonly #longestMs: number
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(count: number, longestMs: number) {
    this.#free = count
    this.#longestMs = longestMs
  }

  /** Resolves when it is one's turn. @returns ends it; to be called in any case */
  async enter(): Promise<() => void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let isOver = false
    const leave = () => {
      clearTimeout(impatience)
      if (isOver) return
      isOver = true
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
    const impatience = setTimeout(leave, this.#longestMs)
    impatience.unref()
    return leave
  }
}
