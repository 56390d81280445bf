/** Lines that wait to be sent. When there is no room, the oldest go, and are counted. */
const mostLines = 2000
const mostCharacters = 512 * 1024
/** Characters that are sent together: as JSON, in bytes, they are several times as many. */
const mostAtOnce = 128 * 1024
/** Characters of one line that are kept. */
const longestLine = 8 * 1024

export class WaitingLines {
  readonly #lines: string[] = []
  #characters = 0
  #dropped = 0

  add(line: string): void {
    const kept = line.slice(0, longestLine)
    this.#lines.push(kept)
    this.#characters += kept.length
    while (this.#lines.length > mostLines || this.#characters > mostCharacters) {
      this.#remove()
      this.#dropped++
    }
  }

  /** The oldest, and how many are missing before them. They stay until they were `sent`. */
  next(count: number): { lines: string[]; dropped: number } {
    let end = 0
    for (let characters = 0; end < Math.min(count, this.#lines.length); end++) {
      characters += this.#lines[end]!.length
      if (end > 0 && characters > mostAtOnce) break
    }
    return { lines: this.#lines.slice(0, end), dropped: this.#dropped }
  }

  /** What `next` said has arrived. Some of it may have been dropped meanwhile, to make room. */
  sent(count: number, dropped: number): void {
    const since = this.#dropped - dropped
    for (let gone = Math.max(0, count - since); gone > 0; gone--) this.#remove()
    this.#dropped = Math.max(0, since - count)
  }

  /** What `next` said will never arrive. */
  drop(count: number, dropped: number): void {
    const gone = Math.max(0, count - (this.#dropped - dropped))
    for (let left = gone; left > 0; left--) this.#remove()
    this.#dropped += gone
  }

  #remove(): void {
    this.#characters -= this.#lines.shift()!.length
  }
}
