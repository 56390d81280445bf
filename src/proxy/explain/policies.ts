/** The policies of a request in the order of their turn, with what each said. */
import type { ConsumerSpec } from '../../config/plan.ts'
import type { Exchange, PolicyFactory } from '../exchange.ts'
import { whyNot } from '../expression-explanation.ts'
import {
  type Contribution,
  consumerContributions,
  globalContributions,
  isOff,
  type MergedPolicy,
  mergePolicies,
  routeContributions,
} from '../merging.ts'
import type { ChainEntry } from '../pipeline.ts'
import type { Binding, Runtime } from '../runtime.ts'
import type { DryRun, RecordedTurn } from './dry-run.ts'
import type { ExplainedPolicy } from './explanation.ts'

const phases = [
  'request',
  'serve',
  'send',
  'requestBody',
  'receive',
  'respond',
  'responseBody',
  'observe',
] as const

export function explainPolicies(
  run: DryRun,
  binding: Binding | null,
  exchange: Exchange,
  { resources }: Runtime,
  policies: ReadonlyMap<string, PolicyFactory>,
): ExplainedPolicy[] {
  const globals = globalContributions(resources)
  const own = binding === null ? [] : routeContributions(binding.route, resources)
  const consumer = exchange.consumer?.spec
  const brought = consumer === undefined ? [] : consumerContributions(consumer, resources)
  const global = new Contributions(globals, policies)
  const local = new Contributions([...own, ...withoutCredentials(brought, consumer, policies)], policies)
  const explainer = new PolicyExplainer(run, exchange)
  return [
    ...inOrder(run).map((entry) => {
      const of = run.chain.globals.includes(entry) ? global : local
      return explainer.explain(entry, of.winner(entry.policy), of.replaced(entry.policy))
    }),
    ...run.chain.globals
      .filter((entry) => !run.chain.entries.includes(entry))
      .map((entry) => explainer.yielding(entry, global.winner(entry.policy))),
    ...global.off(),
    ...local.off(),
  ]
}

/** What a consumer holds for policies that identify are credentials, not policies. */
function withoutCredentials(
  contributions: readonly Contribution[],
  consumer: ConsumerSpec | undefined,
  policies: ReadonlyMap<string, PolicyFactory>,
): Contribution[] {
  if (consumer === undefined) return []
  return contributions.map(({ owner, plugins }) => {
    const kept = Object.entries(plugins ?? {}).filter(([name]) => policies.get(name)?.stage !== 'identify')
    return { owner, plugins: Object.fromEntries(kept) }
  })
}

/** The first pass, what came with the consumer, the second pass; those without a say stand where they would be. */
function inOrder({ chain }: DryRun): ChainEntry[] {
  const late = new Set(chain.late?.map(({ entry }) => entry))
  const pass = (entry: ChainEntry) => {
    if (late.has(entry)) return 1
    return entry.stage === 'identify' || entry.stage === 'transform' ? 0 : 2
  }
  return chain.entries.toSorted((a, b) => pass(a) - pass(b))
}

class Contributions {
  readonly #contributions: readonly Contribution[]
  readonly #merged: ReadonlyMap<string, MergedPolicy>
  readonly #policies: ReadonlyMap<string, PolicyFactory>

  constructor(contributions: readonly Contribution[], policies: ReadonlyMap<string, PolicyFactory>) {
    this.#contributions = contributions
    this.#merged = mergePolicies(contributions)
    this.#policies = policies
  }

  winner(policy: string): MergedPolicy | undefined {
    return this.#merged.get(policy)
  }

  replaced(policy: string): string[] {
    const owners = this.#contributions.filter(({ plugins }) => plugins?.[policy] !== undefined)
    return owners.slice(0, -1).map(({ owner }) => owner)
  }

  off(): ExplainedPolicy[] {
    return [...this.#merged.values()].filter(isOff).map(({ name, owner }) => ({
      name,
      owner,
      replaces: this.replaced(name),
      stage: this.#policies.get(name)?.stage ?? '',
      priority: this.#policies.get(name)?.priority ?? 0,
      phases: [],
      verdict: 'off',
      notes: ['_meta.disable is true'],
    }))
  }
}

class PolicyExplainer {
  readonly #run: DryRun
  readonly #exchange: Exchange

  constructor(run: DryRun, exchange: Exchange) {
    this.#run = run
    this.#exchange = exchange
  }

  explain(entry: ChainEntry, merged: MergedPolicy | undefined, replaces: string[]): ExplainedPolicy {
    const turn = this.#turnOf(entry, merged)
    const notes: string[] = []
    if (turn !== undefined && turn.owner !== merged?.owner) notes.push(`it ran as ${turn.owner} has it`)
    return {
      ...described(entry, merged, replaces),
      ...this.#verdict(entry, merged, turn, notes),
      notes,
    }
  }

  yielding(entry: ChainEntry, merged: MergedPolicy | undefined): ExplainedPolicy {
    const notes = ['the route has the same policy itself']
    return { ...described(entry, merged, []), verdict: 'off', notes }
  }

  #turnOf({ policy }: ChainEntry, merged: MergedPolicy | undefined): RecordedTurn | undefined {
    const turns = this.#run.turns.filter((turn) => turn.policy === policy)
    return (
      turns.find(({ owner }) => owner === merged?.owner) ??
      turns.find(({ owner }) => !isGlobal(owner, merged))
    )
  }

  #verdict(
    entry: ChainEntry,
    merged: MergedPolicy | undefined,
    turn: RecordedTurn | undefined,
    notes: string[],
  ): Pick<ExplainedPolicy, 'verdict' | 'answer'> {
    if (entry.unavailable) {
      notes.push(whyUnavailable(entry, merged))
      return { verdict: 'fails' }
    }
    if (turn === undefined) return this.#withoutTurn(entry, merged, notes)
    const { verdict, failed, unknown } = turn
    if (failed !== undefined) {
      notes.push(
        entry.confidential ? 'why is withheld, because its configuration holds secrets' : failed,
        ...(entry.continueOnError ? ['on_error: continue lets the request pass'] : []),
      )
      return { verdict: 'fails' }
    }
    if (unknown !== undefined) {
      notes.push(unknown)
      return { verdict: 'not evaluated' }
    }
    if (verdict === undefined) return { verdict: 'passes' }
    const body =
      entry.errorResponse !== undefined && verdict.status >= 400 ? entry.errorResponse : verdict.body
    const answer = { status: verdict.status, ...(body !== undefined && { body }) }
    return { verdict: entry.shadow ? 'would answer' : 'answers', answer }
  }

  #withoutTurn(
    entry: ChainEntry,
    merged: MergedPolicy | undefined,
    notes: string[],
  ): Pick<ExplainedPolicy, 'verdict'> {
    const { filterDecisions, skippedPolicies } = this.#exchange
    const decision = filterDecisions?.find(({ condition }) => condition === entry.filter)
    if (decision?.holds === false) {
      const filter = merged?.config._meta?.filter
      if (Array.isArray(filter)) notes.push(...whyNot(filter, this.#exchange))
      return { verdict: 'skipped' }
    }
    if (skippedPolicies?.includes(entry.policy)) {
      notes.push('another policy that ran before it stands in for it')
      return { verdict: 'skipped' }
    }
    return { verdict: entry.handlers.request === undefined ? 'no say' : 'not reached' }
  }
}

function whyUnavailable({ policy }: ChainEntry, merged: MergedPolicy | undefined): string {
  if (policy === '') return 'what the route refers to is not there'
  return merged?.config._meta?.secrets === 'missing'
    ? 'a secret that it needs is not there, or was not looked up: it denies every request'
    : 'it could not be set up: it denies every request'
}

const isGlobal = (owner: string, merged: MergedPolicy | undefined): boolean =>
  owner.startsWith('global_rule:') !== (merged?.owner.startsWith('global_rule:') === true)

function described(
  { policy, stage, priority, handlers }: ChainEntry,
  merged: MergedPolicy | undefined,
  replaces: string[],
): Omit<ExplainedPolicy, 'verdict' | 'notes'> {
  return {
    name: policy,
    owner: merged?.owner ?? '',
    replaces,
    stage,
    priority: Number.isFinite(priority) ? priority : 0,
    phases: phases.filter((phase) => handlers[phase] !== undefined),
  }
}
