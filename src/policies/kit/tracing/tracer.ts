/**
 * Makes spans of exchanges: one for the exchange, and below it one for each policy that took time or answered, and one for
 * each attempt at an upstream, which is told that it is called out of that one.
 */
import type { Exchange } from '../../../proxy/exchange.ts'
import { type Attempt, type Follower, type PolicyTurn, Timeline } from '../../../proxy/timeline.ts'
import { newSpanId } from './ids.ts'
import { type Attribute, type Span, spanKind } from './span.ts'

/** A trace that an exchange is part of. */
export interface Membership {
  readonly traceId: string
  /** Of the caller; empty: the trace begins here. */
  readonly parentId: string
  /** `tracestate` of the caller. */
  readonly state: string
}

export interface TracerOptions {
  /** Undefined: this exchange is not recorded; what its upstream is told of it is done with. */
  join(exchange: Exchange): Membership | undefined
  /** Tells the upstream which span it is called out of. */
  propagate(exchange: Exchange, membership: Membership, spanId: string): void
  /** Name, attributes and failure of the span of an exchange that is over. */
  describe(exchange: Exchange): Pick<Span, 'name' | 'attributes' | 'error'>
  report(span: Span, exchange: Exchange): void
}

/** What a tracer does about an exchange that it records. */
export interface Recording {
  readonly membership: Membership
  readonly spanId: string
}

/** Milliseconds below which a policy that let a request pass at once is not worth a span. */
const noticeable = 0.1

export class Tracer implements Follower<Exchange> {
  readonly #options: TracerOptions
  readonly #recordings = new WeakMap<Exchange, Recording>()

  constructor(options: TracerOptions) {
    this.#options = options
  }

  /** @returns undefined when it is not recorded */
  begin(exchange: Exchange): Recording | undefined {
    const membership = this.#options.join(exchange)
    if (membership === undefined) {
      if (exchange.timeline !== null) exchange.timeline.reporter = this
      return undefined
    }
    const recording = { membership, spanId: newSpanId() }
    exchange.timeline ??= new Timeline()
    exchange.timeline.reporter = this
    this.#recordings.set(exchange, recording)
    return recording
  }

  send(exchange: Exchange): void {
    const recording = this.#recordingOf(exchange)
    if (recording === undefined) return
    const attempt = exchange.timeline?.attempts.at(-1)
    if (attempt !== undefined) attempt.id = newSpanId()
    this.#options.propagate(exchange, recording.membership, attempt?.id ?? recording.spanId)
  }

  end(exchange: Exchange): void {
    const recording = this.#recordingOf(exchange)
    const { timeline, timings } = exchange
    if (recording === undefined || timeline === null) return
    const { membership, spanId } = recording
    // What comes in are moments of a monotonic clock.
    const epoch = (moment: number) => timings.startedAt + moment - timings.start
    const { traceId, state } = membership
    const base = { traceId, state, parentId: spanId }
    for (const turn of timeline.turns) {
      if (!isWorthASpan(turn)) continue
      this.#options.report({ ...base, ...turnSpan(turn, epoch) }, exchange)
    }
    for (const [index, attempt] of timeline.attempts.entries())
      this.#options.report({ ...base, ...attemptSpan(attempt, index, exchange, epoch) }, exchange)
    const end = Math.max(timings.end, timings.start)
    this.#options.report(
      {
        ...this.#options.describe(exchange),
        traceId,
        state,
        spanId,
        parentId: membership.parentId,
        kind: spanKind.server,
        start: epoch(timings.start),
        end: epoch(end),
      },
      exchange,
    )
  }

  /** Undefined: it is not recorded, or another tracer took it. */
  #recordingOf(exchange: Exchange): Recording | undefined {
    return exchange.timeline?.reporter === this ? this.#recordings.get(exchange) : undefined
  }
}

function isWorthASpan({ start, end, waited, status, failed }: PolicyTurn): boolean {
  return waited || failed || status !== 0 || end - start >= noticeable
}

type Child = Omit<Span, 'traceId' | 'state' | 'parentId'>

function turnSpan(turn: PolicyTurn, epoch: (moment: number) => number): Child {
  const attributes: Attribute[] = [['sluice.policy', turn.policy]]
  if (turn.status !== 0) attributes.push(['sluice.policy.status', turn.status])
  if (turn.shadow) attributes.push(['sluice.policy.shadow', true])
  return {
    spanId: newSpanId(),
    name: `policy ${turn.policy}`,
    kind: spanKind.internal,
    start: epoch(turn.start),
    end: epoch(turn.end),
    attributes,
    ...(turn.failed && { error: 'the policy failed' }),
  }
}

function attemptSpan(
  attempt: Attempt,
  index: number,
  exchange: Exchange,
  epoch: (moment: number) => number,
): Child {
  // The last one is still under way when the observers have their turn.
  const isOpen = attempt.end === 0
  const status = isOpen ? (exchange.upstream?.status ?? 0) : attempt.status
  const peer = isOpen ? (exchange.upstream?.ip ?? '') : attempt.peer
  const result = attempt.result ?? (exchange.outcome === 'complete' ? 'complete' : 'abandoned')
  const colon = attempt.address.lastIndexOf(':')
  const attributes: Attribute[] = [
    ['http.request.method', exchange.request.method],
    ['server.address', attempt.address.slice(0, colon)],
    ['server.port', Number(attempt.address.slice(colon + 1))],
  ]
  if (peer !== '') attributes.push(['network.peer.address', peer])
  if (index > 0) attributes.push(['http.request.resend_count', index])
  if (status !== 0) attributes.push(['http.response.status_code', status])
  const fault = result === 'complete' || result === 'abandoned' ? undefined : result
  const error = fault ?? (status >= 400 ? String(status) : undefined)
  if (error !== undefined) attributes.push(['error.type', error])
  return {
    spanId: attempt.id === '' ? newSpanId() : attempt.id,
    name: exchange.request.method,
    kind: spanKind.client,
    start: epoch(attempt.start),
    end: epoch(isOpen ? Math.max(exchange.timings.end, attempt.start) : attempt.end),
    attributes,
    ...(error !== undefined && { error }),
  }
}
