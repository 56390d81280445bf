import { Client, type Dispatcher } from 'undici'
import { type LoadRequest, picker } from './mix.ts'
import { kindOf, Tally } from './tally.ts'

/** A load test: what is sent where, how fast, and when it ends. */
export interface LoadPlan {
  /** The only place that anything is sent to; redirects are counted, never followed. */
  origin: string
  mix: readonly LoadRequest[]
  connections: number
  /** Requests per second over all connections; absent: each connection sends its next when it has its answer. */
  rate?: number
  /** Milliseconds in which requests are sent. */
  duration: number
  /** The most that are sent; absent: no cap. */
  requests?: number
  /** Milliseconds that an answer, or a connection, may take. */
  timeout: number
}

export interface LoadResult {
  tally: Tally
  /** Milliseconds from the first request to the last answer. */
  elapsed: number
  sent: number
  /** At a fixed rate: requests that were due and found no free connection until the end. */
  unsent: number
}

/** After a request failed, its connection waits so long, in ms: a closed port is not asked in a busy loop. */
const pause = 100
/** Milliseconds between two looks at what is due. */
const tick = 1

/**
 * Runs a load test to its end, or until `signal` stops it early.
 *
 * At a fixed rate, a latency counts from the moment at which the request was due and not from when it could be sent:
 * a server that stalls cannot hide it by delaying the requests that would have shown it (coordinated omission).
 */
export function runLoad(plan: LoadPlan, signal?: AbortSignal): { tally: Tally; done: Promise<LoadResult> } {
  const run = new Load(plan)
  signal?.addEventListener('abort', () => run.stop(), { once: true })
  return { tally: run.tally, done: run.start() }
}

class Load {
  readonly tally = new Tally()
  readonly #plan: LoadPlan
  readonly #pick: () => LoadRequest
  readonly #lanes: Lane[]
  /** Lanes without a request, when there is a rate to keep. */
  readonly #idle: Lane[] = []
  readonly #finished = Promise.withResolvers<void>()
  #began = 0
  #sent = 0
  #open = 0
  #stopped = false
  #stoppedAt = 0
  #timer: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(plan: LoadPlan) {
    this.#plan = plan
    this.#pick = picker(plan.mix)
    this.#lanes = Array.from({ length: plan.connections }, () => new Lane(plan, this.tally, this.#free))
  }

  async start(): Promise<LoadResult> {
    this.#began = performance.now()
    this.#deadline = setTimeout(() => this.stop(), this.#plan.duration)
    if (this.#plan.rate === undefined) {
      for (const lane of this.#lanes) this.#next(lane)
    } else {
      this.#idle.push(...this.#lanes)
      this.#timer = setInterval(() => this.#sendDue(), tick)
    }
    await this.#finished.promise

    clearTimeout(this.#deadline)
    const elapsed = performance.now() - this.#began
    const unsent = this.#plan.rate === undefined ? 0 : this.#dueBy(this.#stoppedAt) - this.#sent
    await Promise.all(this.#lanes.map((lane) => lane.close()))
    return { tally: this.tally, elapsed, sent: this.#sent, unsent }
  }

  /** Sends nothing more; requests under way may still be answered within the timeout. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#stoppedAt = performance.now()
    clearTimeout(this.#deadline)
    clearInterval(this.#timer)
    for (const lane of this.#lanes) lane.rest()
    this.#deadline = setTimeout(() => this.#finished.resolve(), this.#plan.timeout)
    this.#finishWhenIdle()
  }

  readonly #free = (lane: Lane): void => {
    this.#open--
    if (this.#stopped) {
      this.#finishWhenIdle()
    } else if (this.#plan.rate === undefined) {
      this.#next(lane)
    } else {
      this.#idle.push(lane)
      this.#sendDue()
    }
  }

  /** The closed loop: at once, as long as there is something left to send. */
  #next(lane: Lane): void {
    if (this.#stopped) return
    this.#send(lane, performance.now())
    this.#stopAtCap()
  }

  /** The open loop: everything that is due and finds a connection. */
  #sendDue(): void {
    const rate = this.#plan.rate!
    const due = this.#dueBy(performance.now())
    while (!this.#stopped && this.#sent < due && this.#idle.length > 0) {
      this.#send(this.#idle.pop()!, this.#began + (this.#sent * 1_000) / rate)
      this.#stopAtCap()
    }
  }

  #send(lane: Lane, since: number): void {
    this.#sent++
    this.#open++
    lane.send(this.#pick(), since)
  }

  #stopAtCap(): void {
    if (this.#sent >= (this.#plan.requests ?? Number.POSITIVE_INFINITY)) this.stop()
  }

  /** How many requests the rate asks for up to a moment. */
  #dueBy(moment: number): number {
    const within = Math.min(moment - this.#began, this.#plan.duration)
    const due = Math.ceil((within * this.#plan.rate!) / 1_000)
    return Math.min(due, this.#plan.requests ?? due)
  }

  #finishWhenIdle(): void {
    if (this.#open === 0) this.#finished.resolve()
  }
}

/** One connection with at most one request under way. It is its own response handler, so that a request costs no closure. */
class Lane implements Dispatcher.DispatchHandler {
  readonly #client: Client
  readonly #tally: Tally
  readonly #free: (lane: Lane) => void
  #since = 0
  #status = 0
  #resting: NodeJS.Timeout | undefined

  constructor(plan: LoadPlan, tally: Tally, free: (lane: Lane) => void) {
    this.#client = new Client(plan.origin, {
      allowH2: false,
      pipelining: 1,
      connect: { timeout: plan.timeout },
      headersTimeout: plan.timeout,
      bodyTimeout: plan.timeout,
      keepAliveTimeout: 60_000,
    })
    this.#tally = tally
    this.#free = free
  }

  send({ method, path, headers, body }: LoadRequest, since: number): void {
    this.#since = since
    try {
      this.#client.dispatch({ method, path, headers, body }, this)
    } catch (error) {
      this.onResponseError(undefined, error as Error)
    }
  }

  onRequestStart(): void {}

  onResponseStart(_controller: unknown, status: number): void {
    this.#status = status
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#tally.bytes += chunk.length
  }

  onResponseEnd(): void {
    this.#tally.answered(this.#status, (performance.now() - this.#since) * 1_000)
    this.#free(this)
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#tally.failed(this.#client.destroyed ? 'unfinished at the end' : kindOf(error))
    if (this.#client.destroyed) return
    this.#resting = setTimeout(() => this.rest(), pause)
  }

  /** Ends the pause after a failure, at its time or early. */
  rest(): void {
    if (this.#resting === undefined) return
    clearTimeout(this.#resting)
    this.#resting = undefined
    this.#free(this)
  }

  close(): Promise<void> {
    return this.#client.destroy()
  }
}
