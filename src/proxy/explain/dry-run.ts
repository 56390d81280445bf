/**
 * Runs the policies of a request without consequences: the pipeline is the one of traffic, the policies are bound to
 * services that change nothing, and every verdict is written down.
 */
import { LazyMap } from '../../config/lazy-map.ts'
import { PolicyChains } from '../chains.ts'
import { type Conduct, dispatch } from '../dispatch.ts'
import type { GatewayError } from '../errors.ts'
import type { Exchange, PolicyBindingContext, PolicyFactory, Verdict } from '../exchange.ts'
import { type Chain, emptyChain } from '../pipeline.ts'
import { Binding, type Runtime } from '../runtime.ts'

/** What services of a dry run throw where a policy would have to reach somebody else to decide. */
export class NotEvaluated extends Error {}

/** One policy's turn. */
export interface RecordedTurn {
  policy: string
  /** The resource whose configuration ran. */
  owner: string
  /** Absent: it let the request pass, or what stands in `failed` or `unknown`. */
  verdict?: Verdict
  /** Why it broke. */
  failed?: string
  /** Why it was not evaluated. */
  unknown?: string
}

export type DryOutcome =
  | { kind: 'answered'; verdict: Verdict; policy: string }
  | { kind: 'failed'; error: GatewayError }
  | { kind: 'forwarded'; binding: Binding }
  /** A policy did not come to a decision in time. */
  | { kind: 'undecided' }

export interface DryRun {
  /** In the order in which they ran. */
  turns: RecordedTurn[]
  outcome: DryOutcome
  /** The policies that the request was in the hands of at last. */
  chain: Chain
}

/** A policy that waits for something is not waited for longer. Milliseconds. */
const patience = 2000

/** `policies` are bound to services without consequences. Global policies alone run when nothing matched. */
export async function runDry(
  exchange: Exchange,
  matched: Binding | null,
  policies: ReadonlyMap<string, PolicyFactory>,
  runtime: Runtime,
): Promise<DryRun> {
  const turns: RecordedTurn[] = []
  const chains = new PolicyChains(recording(policies, turns), runtime.resources, () => {})
  chains.compileGlobals()
  const conduct = new DryConduct(exchange)
  const events = { policyFailed() {}, shadowVerdict() {} }
  const binding = matched === null ? null : bindingWith(matched, chains, runtime)
  dispatch(conduct, binding, { runtime: { chains }, ...events })
  const late = Promise.withResolvers<DryOutcome>()
  const timer = setTimeout(() => late.resolve({ kind: 'undecided' }), patience)
  const outcome = await Promise.race([conduct.outcome, late.promise])
  clearTimeout(timer)
  conduct.close()
  return { turns, outcome, chain: conduct.chain }
}

/** The same binding with policies that leave no trace. */
function bindingWith(
  { route, service, upstream, matchedUri, matchedHost }: Binding,
  chains: PolicyChains,
  { mode }: Runtime,
): Binding {
  const matched = { uri: matchedUri, host: matchedHost }
  return new Binding(route, service, upstream, { chains, mode }, matched)
}

class DryConduct implements Conduct {
  readonly exchange: Exchange
  chain: Chain = emptyChain
  readonly outcome: Promise<DryOutcome>
  readonly #end: (outcome: DryOutcome) => void
  #open = true

  constructor(exchange: Exchange) {
    this.exchange = exchange
    const { promise, resolve } = Promise.withResolvers<DryOutcome>()
    this.outcome = promise
    this.#end = resolve
  }

  get isOpen(): boolean {
    return this.#open
  }

  answer(verdict: Verdict, policy: string): void {
    this.#end({ kind: 'answered', verdict, policy })
  }

  fail(error: GatewayError): void {
    this.#end({ kind: 'failed', error })
  }

  forward(binding: Binding): void {
    this.#end({ kind: 'forwarded', binding })
  }

  close(): void {
    this.#open = false
  }
}

/** Policies that write down what they decide. */
function recording(
  policies: ReadonlyMap<string, PolicyFactory>,
  turns: RecordedTurn[],
): ReadonlyMap<string, PolicyFactory> {
  return new LazyMap(policies.keys(), (name) => recordingFactory(policies.get(name)!, turns))
}

function recordingFactory(factory: PolicyFactory, turns: RecordedTurn[]): PolicyFactory {
  return {
    ...factory,
    create(config, place, holdBody) {
      const handlers = factory.create(config, place, holdBody)
      if (handlers.request === undefined) return handlers
      return { ...handlers, request: (exchange) => turnOf(place, () => handlers.request!(exchange), turns) }
    },
  }
}

type Decision = ReturnType<NonNullable<ReturnType<PolicyFactory['create']>['request']>>

function turnOf(
  { policy, owner }: PolicyBindingContext,
  decide: () => Decision,
  turns: RecordedTurn[],
): Decision {
  const turn: RecordedTurn = { policy, owner }
  turns.push(turn)
  const decided = (verdict: Verdict | undefined | void) => {
    if (verdict) turn.verdict = verdict
    return verdict
  }
  const broke = (error: unknown) => {
    const { message } = error as Error
    if (!(error instanceof NotEvaluated)) {
      turn.failed = message
      throw error
    }
    // As if it had let the request pass, so that what comes after it is explained too.
    turn.unknown = message
    return undefined
  }
  try {
    const result = decide()
    return result instanceof Promise ? result.then(decided, broke) : decided(result as Verdict | undefined)
  } catch (error) {
    return broke(error)
  }
}
