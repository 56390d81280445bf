/** The body of an answer that is made elsewhere, on its way to the client: no piece is asked for before there is room for it. */
import { clock } from '../clock.ts'
import type { Relay } from '../exchange.ts'

/** The client's side. */
export interface RelaySink {
  readonly isFull: boolean
  relayed(bytes: Buffer): void
  relayEnded(): void
  /** It broke off. */
  relayFailed(error: unknown): void
  flush(): void
}

export class RelayedBody {
  readonly #relay: Relay
  readonly #sink: RelaySink
  /** Bytes that are still to come; -1: nobody knows. */
  #left: number
  #waiting = false
  #over = false

  constructor(relay: Relay, length: number, sink: RelaySink) {
    this.#relay = relay
    this.#left = length
    this.#sink = sink
  }

  /** Goes on until the client has enough, or a piece is still to be made. */
  resume(): void {
    try {
      while (!this.#over && !this.#waiting && !this.#sink.isFull) {
        const piece = this.#left === 0 ? null : this.#relay.read()
        if (piece instanceof Promise) this.#wait(piece)
        else this.#take(piece)
      }
    } catch (error) {
      this.#broke(error)
    }
  }

  /** The client sends nothing more. */
  clientEnded(): void {
    if (!this.#over) this.#relay.clientEnded?.()
  }

  /** Nobody wants the rest. */
  abandon(): void {
    if (!this.#over) this.#close()
  }

  #wait(pending: Promise<Buffer | null>): void {
    this.#waiting = true
    pending.then(
      (piece) => {
        clock.tick()
        this.#waiting = false
        if (this.#over) return
        try {
          this.#take(piece)
        } catch (error) {
          this.#broke(error)
          return
        }
        this.resume()
        if (!this.#over) this.#sink.flush()
      },
      (error) => {
        clock.tick()
        this.#fail(error)
      },
    )
    this.#sink.flush()
  }

  #take(piece: Buffer | null): void {
    if (piece === null) {
      if (this.#left > 0) throw new Error('the body is shorter than its head says')
      this.#close()
      this.#sink.relayEnded()
    } else if (piece.length > 0) {
      if (this.#left >= 0) {
        this.#left -= piece.length
        if (this.#left < 0) throw new Error('the body is longer than its head says')
      }
      this.#sink.relayed(piece)
    }
  }

  /** What throws after the end has nothing to do with the body. */
  #broke(error: unknown): void {
    if (this.#over) throw error
    this.#fail(error)
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#close()
    this.#sink.relayFailed(error)
  }

  #close(): void {
    this.#over = true
    this.#relay.close()
  }
}
