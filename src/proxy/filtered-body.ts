/**
 * A body on its way through the filters of policies, in order. Pieces go through one after the other; what a filter does
 * at once costs no promise, and while one takes its time the rest waits.
 */
import type { BodyFilter } from './exchange.ts'

/** A filter with the policy that it belongs to. */
export interface PolicyFilter {
  readonly policy: string
  readonly filter: BodyFilter
}

export interface FilteredBodyEvents {
  /** A piece came out of the last filter. */
  piece(bytes: Buffer): void
  /** Everything that was waiting has gone through. */
  idle(): void
  /** The end came out of the last filter. */
  end(): void
  /** A filter broke; nothing more comes. */
  failed(policy: string, error: unknown): void
}

type Step = undefined | Promise<void>

export class FilteredBody {
  readonly #filters: readonly PolicyFilter[]
  readonly #events: FilteredBodyEvents
  /** The last of the work under way. */
  #tail: Promise<void> | null = null
  /** The filter that is at work. */
  #at = 0
  #over = false

  constructor(filters: readonly PolicyFilter[], events: FilteredBodyEvents) {
    this.#filters = filters
    this.#events = events
  }

  /** A filter takes its time: more should not be sent before `idle`. */
  get isBusy(): boolean {
    return this.#tail !== null
  }

  /** The filters may keep the piece: it has to be theirs. */
  write(piece: Buffer): void {
    this.#next(() => this.#through(0, piece))
  }

  end(): void {
    this.#next(() => this.#end(0))
  }

  /** Nobody waits for the rest. */
  cancel(): void {
    this.#over = true
  }

  #next(work: () => Step): void {
    if (this.#over) return
    try {
      if (this.#tail === null) {
        const step = work()
        if (step !== undefined) this.#await(step)
      } else this.#await(this.#tail.then(() => (this.#over ? undefined : work())))
    } catch (error) {
      this.#fail(error)
    }
  }

  #await(step: Promise<void>): void {
    const tail = step.then(
      () => {
        if (this.#tail !== tail) return
        this.#tail = null
        if (!this.#over) this.#events.idle()
      },
      (error) => this.#fail(error),
    )
    this.#tail = tail
  }

  #through(from: number, piece: Buffer): Step {
    let current: Buffer | undefined = piece
    for (let at = from; at < this.#filters.length; at++) {
      const result: ReturnType<BodyFilter['write']> = this.#filter(at).write(current)
      if (result instanceof Promise) return result.then((late) => this.#passOn(at + 1, late))
      if (result === undefined || result.length === 0) return undefined
      current = result
    }
    if (!this.#over) this.#events.piece(current)
    return undefined
  }

  #end(from: number): Step {
    for (let at = from; at < this.#filters.length; at++) {
      const rest = this.#filter(at).end?.()
      if (rest instanceof Promise) {
        return rest.then((late) => this.#passOn(at + 1, late)).then(() => this.#end(at + 1))
      }
      const step = this.#passOn(at + 1, rest)
      if (step !== undefined) return step.then(() => this.#end(at + 1))
    }
    if (!this.#over) {
      this.#over = true
      this.#events.end()
    }
    return undefined
  }

  #filter(at: number): BodyFilter {
    this.#at = at
    return (this.#filters[at] as PolicyFilter).filter
  }

  #passOn(to: number, piece: Buffer | undefined): Step {
    return piece === undefined || piece.length === 0 || this.#over ? undefined : this.#through(to, piece)
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#over = true
    this.#events.failed((this.#filters[this.#at] as PolicyFilter).policy, error)
  }
}
