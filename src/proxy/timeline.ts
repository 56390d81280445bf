/** What took how long in one exchange, for whoever follows it. Only exchanges that somebody follows have one. */
import { clock } from './clock.ts'
import type { AttemptEnd } from './upstream/attempt.ts'

/** A policy's turn at a request. Moments are those of `performance.now()`. */
export interface PolicyTurn {
  readonly policy: string
  readonly start: number
  readonly end: number
  /** It was waited for. */
  readonly waited: boolean
  /** Status of its answer; 0: the request went on. */
  readonly status: number
  /** The answer was recorded, and the request passed. */
  readonly shadow: boolean
  /** It threw. */
  readonly failed: boolean
}

/** One attempt to have the request answered by an endpoint. */
export interface Attempt {
  /** `host:port` of the endpoint, as it is configured. */
  readonly address: string
  readonly start: number
  /** 0: it is the last one, and ends with the exchange. */
  end: number
  /** Undefined while it has no end. */
  result: AttemptEnd | undefined
  /** Of its answer; 0: none came. */
  status: number
  /** What was connected to; empty: nothing was. */
  peer: string
  /** Whoever follows may give it a name, which the upstream is told. */
  id: string
}

export class Timeline {
  readonly turns: PolicyTurn[] = []
  readonly attempts: Attempt[] = []
  /** Who reports it. The last one that takes it does. */
  reporter: object | null = null

  turn(
    policy: string,
    start: number,
    waited: boolean,
    status: number,
    shadow: boolean,
    failed: boolean,
  ): void {
    this.turns.push({ policy, start, end: performance.now(), waited, status, shadow, failed })
  }

  attemptBegins(address: string): void {
    this.attempts.push({ address, start: clock.now, end: 0, result: undefined, status: 0, peer: '', id: '' })
  }

  attemptEnds(result: AttemptEnd, status: number, peer: string): void {
    const attempt = this.attempts.at(-1)
    if (attempt === undefined || attempt.end !== 0) return
    attempt.end = clock.now
    attempt.result = result
    attempt.status = status
    attempt.peer = peer
  }
}

/** Follows exchanges of their own accord, without being a policy of theirs. It never throws. */
export interface Follower<Exchange> {
  /** The head is read, and nothing was done about it yet. */
  begin(exchange: Exchange): void
  /** The head for an upstream is about to be made. */
  send(exchange: Exchange): void
  /** Once, after the last byte; for exchanges with a timeline. */
  end(exchange: Exchange): void
}
