/**
 * A binding's policies as compiled chains, phase by phase. A phase that nobody uses is null and costs one comparison;
 * a synchronous result is not awaited; a policy that throws denies the request, it is never skipped.
 *
 * Request policies run in two passes, as in APISIX (rewrite, then access): identify and transform first, then, with the
 * consumer known, authorize and limit. Inside a pass the higher priority runs first. What a consumer brings and the
 * route has not makes up for the first pass between the two. See docs/decisions/0010.
 */
import { clock } from './clock.ts'
import { errors, type GatewayError } from './errors.ts'
import type { Exchange, PolicyHandlers, Stage, Tap, Verdict } from './exchange.ts'
import type { Condition } from './expression.ts'
import type { PolicyFilter } from './filtered-body.ts'

export interface ChainEntry {
  readonly policy: string
  readonly stage: Stage
  readonly priority: number
  readonly handlers: PolicyHandlers
  /** It could not be set up: its handlers deny. */
  readonly unavailable: boolean
  /** Its configuration holds secrets, which its own errors could quote. */
  readonly confidential: boolean
  /** In a global rule: silent where the binding has the same policy. */
  readonly yieldsToRoute: boolean
  /** Where it runs; null: everywhere. Its handlers ask by themselves. */
  readonly filter: Condition | null
  /** Bytes of the request's body that it wants to have before it; 0: it does not. */
  readonly heldBody: number
  /** Shadow: the verdict is recorded and the request passes. */
  readonly shadow: boolean
  /** on_error: continue. */
  readonly continueOnError: boolean
  /** Replaces the body of any answer of 400 and above. */
  readonly errorResponse: string | Record<string, unknown> | undefined
}

const nobody: ReadonlySet<ChainEntry> = new Set()

/**
 * One handler's turn in a phase. The handler itself is kept beside its entry, because looking it up by the name of the phase
 * in objects of as many shapes as there are policies costs more than calling it.
 */
export interface Turn<Handler> {
  readonly entry: ChainEntry
  readonly run: Handler
}
type Handler<Phase extends keyof PolicyHandlers> = NonNullable<PolicyHandlers[Phase]>
type Turns<Phase extends keyof PolicyHandlers> = readonly Turn<Handler<Phase>>[]

export class Chain {
  /** Of the global rules, also those that yield. */
  readonly globals: readonly ChainEntry[]
  /** Of the binding. */
  readonly own: readonly ChainEntry[]
  /** Those that run, in the order of their turn, global policies first. */
  readonly entries: readonly ChainEntry[]
  readonly first: Turns<'request'> | null
  /** The first pass of policies that came with the consumer, when the others had theirs. */
  readonly late: Turns<'request'> | null
  readonly second: Turns<'request'> | null
  readonly serve: Turns<'serve'> | null
  readonly send: Turns<'send'> | null
  readonly requestBody: Turns<'requestBody'> | null
  /** In reverse, as are those of `respond`. */
  readonly receive: Turns<'receive'> | null
  readonly shape: Turns<'shape'> | null
  readonly respond: Turns<'respond'> | null
  readonly responseBody: Turns<'responseBody'> | null
  readonly observe: Turns<'observe'> | null
  /** Bytes of the request's body that one of them wants to have before it; 0: nobody does. */
  readonly heldBody: number

  /**
   * Either group is sorted by itself, as APISIX does.
   * @param latecomers those of the binding that join after the first pass
   */
  constructor(
    globals: readonly ChainEntry[],
    own: readonly ChainEntry[],
    latecomers: ReadonlySet<ChainEntry> = nobody,
  ) {
    const names = new Set(own.map((entry) => entry.policy))
    const running = globals.filter((entry) => !entry.yieldsToRoute || !names.has(entry.policy))
    const all = [...byPriority(running), ...byPriority(own)]
    this.globals = globals
    this.own = own
    const first = all.filter((entry) => isFirstPass(entry.stage))
    this.entries = all
    this.first = turns(
      first.filter((entry) => !latecomers.has(entry)),
      'request',
    )
    this.late = turns(
      first.filter((entry) => latecomers.has(entry)),
      'request',
    )
    this.second = turns(
      all.filter((entry) => !isFirstPass(entry.stage)),
      'request',
    )
    this.serve = turns(all, 'serve')
    this.send = turns(all, 'send')
    this.requestBody = turns(all, 'requestBody')
    this.receive = turns(all.toReversed(), 'receive')
    this.shape = turns(all, 'shape')
    this.respond = turns(all.toReversed(), 'respond')
    this.responseBody = turns(all, 'responseBody')
    this.observe = turns(all, 'observe')
    this.heldBody = Math.max(0, ...all.map((entry) => entry.heldBody))
  }
}

export const emptyChain = new Chain([], [])

function byPriority(entries: readonly ChainEntry[]): ChainEntry[] {
  return entries.toSorted((a, b) => b.priority - a.priority)
}

function isFirstPass(stage: Stage): boolean {
  return stage === 'identify' || stage === 'transform'
}

function turns<Phase extends keyof PolicyHandlers>(
  entries: readonly ChainEntry[],
  phase: Phase,
): Turns<Phase> | null {
  const found = entries.flatMap((entry) => {
    const run = entry.handlers[phase] as Handler<Phase> | undefined
    return run === undefined ? [] : [{ entry, run }]
  })
  return found.length > 0 ? found : null
}

/** Who hears about policies that failed or, in shadow mode, would have answered. */
export interface PipelineEvents {
  policyFailed(policy: string, error: unknown): void
  shadowVerdict(policy: string, verdict: Verdict, exchange: Exchange): void
}

/** How a policy ends a request: with its verdict, or with an error when it failed; then `policy` is empty. */
export type Answer =
  | { readonly policy: string; readonly verdict: Verdict; readonly error?: never }
  | { readonly policy: ''; readonly verdict?: never; readonly error: GatewayError }

/** What stands in for a policy that could not be set up throws this, for every request; why was told when it happened. */
export class Unavailable extends Error {
  readonly error: GatewayError

  constructor(error: GatewayError) {
    super(error.code)
    this.error = error
  }
}

/**
 * Runs one pass.
 * @returns null to go on, an answer that ends the request, or a promise of either when a policy is asynchronous
 */
export function runPass(
  turns: Turns<'request'> | Turns<'serve'>,
  exchange: Exchange,
  events: PipelineEvents,
  from = 0,
): Answer | null | Promise<Answer | null> {
  for (let i = from; i < turns.length; i++) {
    const { entry, run } = turns[i] as Turn<Handler<'request'>>
    if (exchange.skippedPolicies?.includes(entry.policy)) continue
    const started = exchange.timeline === null ? 0 : performance.now()
    let result: ReturnType<Handler<'request'>>
    try {
      result = run.call(entry.handlers, exchange)
    } catch (error) {
      if (started !== 0) noteTurn(entry, exchange, started, undefined, true)
      const failed = failure(entry, error, events)
      if (failed !== null) return failed
      continue
    }
    if (result === undefined) {
      if (started !== 0) noteTurn(entry, exchange, started)
      continue
    }
    if (isPromise(result)) return finishPass(result, turns, exchange, events, i, started)
    if (started !== 0) noteTurn(entry, exchange, started, result)
    const answer = answerOf(entry, result, exchange, events)
    if (answer !== null) return answer
  }
  return null
}

async function finishPass(
  pending: Promise<Verdict | undefined | void>,
  turns: Turns<'request'> | Turns<'serve'>,
  exchange: Exchange,
  events: PipelineEvents,
  at: number,
  started: number,
): Promise<Answer | null> {
  const { entry } = turns[at] as Turn<Handler<'request'>>
  let answer: Answer | null
  try {
    const verdict = await pending
    clock.tick()
    if (started !== 0) noteTurn(entry, exchange, started, verdict, false, true)
    answer = verdict ? answerOf(entry, verdict, exchange, events) : null
  } catch (error) {
    clock.tick()
    if (started !== 0) noteTurn(entry, exchange, started, undefined, true, true)
    answer = failure(entry, error, events)
  }
  return answer ?? runPass(turns, exchange, events, at + 1)
}

/** For an exchange that is followed. */
function noteTurn(
  { policy, shadow }: ChainEntry,
  { timeline }: Exchange,
  started: number,
  verdict: Verdict | undefined | void = undefined,
  failed = false,
  waited = false,
): void {
  timeline?.turn(policy, started, waited, verdict ? verdict.status : 0, shadow, failed)
}

function isPromise(
  value: Verdict | Promise<Verdict | undefined | void>,
): value is Promise<Verdict | undefined | void> {
  return typeof (value as { then?: unknown }).then === 'function'
}

function answerOf(
  entry: ChainEntry,
  verdict: Verdict,
  exchange: Exchange,
  events: PipelineEvents,
): Answer | null {
  if (entry.shadow) {
    events.shadowVerdict(entry.policy, verdict, exchange)
    return null
  }
  if (entry.errorResponse !== undefined && verdict.status >= 400) {
    return { policy: entry.policy, verdict: withBody(verdict, entry.errorResponse) }
  }
  return { policy: entry.policy, verdict }
}

/** What the policy said about its own body is not true of another. */
function withBody({ contentType: _, ...verdict }: Verdict, body: NonNullable<Verdict['body']>): Verdict {
  return { ...verdict, body }
}

function failure(entry: ChainEntry, error: unknown, events: PipelineEvents): Answer | null {
  tell(entry, error, events)
  if (entry.continueOnError || entry.shadow) return null
  return { policy: '', error: error instanceof Unavailable ? error.error : errors.policyFailed }
}

function tell(entry: ChainEntry, error: unknown, events: PipelineEvents): void {
  const isOpen = !entry.confidential || error instanceof Unavailable
  events.policyFailed(entry.policy, isOpen ? error : withoutMessage(error))
}

/** An error of which only its kind and where it came from are left. */
export function withoutMessage(error: unknown): Error {
  const told = new Error('its message is withheld, because the configuration of the policy holds secrets')
  const { name = 'Error', message = '', stack = '' } = (error ?? {}) as Partial<Error>
  // Lines of the message could look like frames.
  const at = stack.indexOf(message)
  const frames = at === -1 ? [] : (stack.slice(at + message.length).match(/^ {4}at .*$/gm) ?? [])
  told.stack = [`${name}: ${told.message}`, ...frames].join('\n')
  return told
}

/** Runs the handlers of a phase that cannot answer. @returns false when one failed and the exchange must not go on */
export function runHooks(
  turns: readonly Turn<(exchange: Exchange) => void>[],
  exchange: Exchange,
  events: PipelineEvents,
): boolean {
  let sound = true
  for (let i = 0; i < turns.length; i++) {
    const { entry, run } = turns[i] as Turn<(exchange: Exchange) => void>
    try {
      run.call(entry.handlers, exchange)
    } catch (error) {
      tell(entry, error, events)
      if (!entry.continueOnError) sound = false
    }
  }
  return sound
}

/**
 * Shows what came back for a request to the policies that take part in that.
 * @returns an answer in its place, taps for its body, or null for neither
 */
export function runReceive(
  turns: Turns<'receive'>,
  exchange: Exchange,
  events: PipelineEvents,
): Answer | PolicyTap[] | null {
  let taps: PolicyTap[] | null = null
  for (let i = 0; i < turns.length; i++) {
    const { entry, run } = turns[i] as Turn<Handler<'receive'>>
    try {
      const result = run.call(entry.handlers, exchange)
      if (!result) continue
      if ('status' in result) {
        const answer = answerOf(entry, result, exchange, events)
        if (answer !== null) return answer
      } else {
        taps ??= []
        taps.push({ entry, tap: result })
      }
    } catch (error) {
      const failed = failure(entry, error, events)
      if (failed !== null) return failed
    }
  }
  return taps
}

/** A tap with the policy that it belongs to; null once it threw. */
export interface PolicyTap {
  readonly entry: ChainEntry
  tap: Tap | null
}

export function runTaps(taps: readonly PolicyTap[], piece: Buffer | null, events: PipelineEvents): void {
  for (const held of taps) {
    try {
      if (piece === null) held.tap?.end()
      else held.tap?.write(piece)
    } catch (error) {
      held.tap = null
      tell(held.entry, error, events)
    }
  }
}

/** Shows an answer of the gateway's own to the policies that may change it. @returns what became of it */
export function runShape(
  turns: Turns<'shape'>,
  exchange: Exchange,
  made: Verdict,
  events: PipelineEvents,
): Verdict {
  let answer = made
  for (const { entry, run } of turns) {
    try {
      const shaped = run.call(entry.handlers, exchange, answer)
      if (!shaped) continue
      if (entry.shadow) events.shadowVerdict(entry.policy, shaped, exchange)
      else answer = shaped
    } catch (error) {
      tell(entry, error, events)
    }
  }
  return answer
}

/**
 * Runs the handlers of the response head.
 * @returns the filters for the body, null for none, false when a handler failed and the exchange must not go on
 */
export function runRespond(
  turns: Turns<'respond'>,
  exchange: Exchange,
  events: PipelineEvents,
): PolicyFilter[] | null | false {
  let sound = true
  let filters: PolicyFilter[] | null = null
  for (let i = 0; i < turns.length; i++) {
    const { entry, run } = turns[i] as Turn<Handler<'respond'>>
    try {
      const filter = run.call(entry.handlers, exchange)
      if (filter) {
        filters ??= []
        filters.push({ policy: entry.policy, filter })
      }
    } catch (error) {
      events.policyFailed(entry.policy, error)
      if (!entry.continueOnError) sound = false
    }
  }
  return sound && filters
}

/** Shows a piece of the request body to the policies that read it. */
export function runRequestBody(
  turns: Turns<'requestBody'>,
  exchange: Exchange,
  chunk: Buffer,
  events: PipelineEvents,
): Answer | null {
  for (const { entry, run } of turns) {
    try {
      const verdict = run.call(entry.handlers, exchange, chunk)
      const answer = verdict ? answerOf(entry, verdict, exchange, events) : null
      if (answer !== null) return answer
    } catch (error) {
      const failed = failure(entry, error, events)
      if (failed !== null) return failed
    }
  }
  return null
}

/** Shows a piece of the answer's body to the policies that look at it. One that fails is told of, and nothing else. */
export function runResponseBody(
  turns: Turns<'responseBody'>,
  exchange: Exchange,
  chunk: Buffer,
  events: PipelineEvents,
): void {
  for (const { entry, run } of turns) {
    try {
      run.call(entry.handlers, exchange, chunk)
    } catch (error) {
      tell(entry, error, events)
    }
  }
}
