/** Lines out of pieces that are cut anywhere; empty ones are left out. */
export class Lines {
  readonly #longest: number
  readonly #take: (line: string) => void
  readonly #decoder = new TextDecoder()
  #rest = ''

  /** `longest`: characters of a line. */
  constructor(longest: number, take: (line: string) => void) {
    this.#longest = longest
    this.#take = take
  }

  /** @returns false when a line was too long, and what there was of it left out */
  write(piece: Buffer): boolean {
    const lines = (this.#rest + this.#decoder.decode(piece, { stream: true })).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) {
      // An end of a line that is in the middle of one would end the field of an event.
      const text = line.replaceAll('\r', '')
      if (text !== '') this.#take(text)
    }
    if (this.#rest.length <= this.#longest) return true
    this.#rest = ''
    return false
  }
}
