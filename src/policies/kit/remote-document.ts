/** Something that another service publishes and that changes now and then. */
export interface DocumentTimes {
  /** Milliseconds after which it is fetched again. */
  readonly goodFor: number
  /** Milliseconds between two attempts, whether they fail or someone asks for what is not in it. Default: 10 000. */
  readonly pause?: number
}

const defaultPause = 10_000

/**
 * Fetched once for all who wait for it. While it cannot be fetched anew, what is known stays good; while nothing is known,
 * a failure is the answer for as long as the pause lasts.
 */
export class RemoteDocument<T> {
  readonly #load: () => Promise<T>
  readonly #now: () => number
  readonly #goodFor: number
  readonly #pause: number
  #value: T | undefined
  #failure: unknown
  #loadedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #pending: Promise<T> | undefined

  constructor(load: () => Promise<T>, now: () => number, { goodFor, pause = defaultPause }: DocumentTimes) {
    this.#load = load
    this.#now = now
    this.#goodFor = goodFor
    this.#pause = pause
  }

  /** @throws what loading it threw, when nothing is known */
  async get(): Promise<T> {
    const isGood = this.#value !== undefined && this.#now() - this.#loadedAt < this.#goodFor
    return isGood ? this.#value! : this.refresh()
  }

  /** Fetches it before its time, unless that was tried a moment ago. @throws as `get` */
  async refresh(): Promise<T> {
    if (this.#pending === undefined && this.#now() - this.#triedAt < this.#pause) return this.#known()
    this.#pending ??= this.#fetch()
    return this.#pending
  }

  async #fetch(): Promise<T> {
    this.#triedAt = this.#now()
    try {
      this.#value = await this.#load()
      this.#loadedAt = this.#now()
      return this.#value
    } catch (error) {
      this.#failure = error
      return this.#known()
    } finally {
      this.#pending = undefined
    }
  }

  #known(): T {
    if (this.#value === undefined) throw this.#failure
    return this.#value
  }
}
