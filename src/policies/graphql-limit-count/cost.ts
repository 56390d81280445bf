/** What a query costs by how much data it asks for, as APISIX reckons it. */
import type { GraphqlBinding, GraphqlOperation, GraphqlSelection } from '../kit/index.ts'
import { type CostPlace, weightAt } from './cost-model.ts'
import type { FieldType, UpstreamSchema } from './upstream-schema.ts'

/** Selections that are looked at, with those of a fragment as often as it is spread. */
const mostSelections = 100_000
/** One inside of the other. */
const deepest = 1000

export interface CostQuestion {
  readonly strategy: 'complexity' | 'node_quantifier'
  readonly operations: readonly GraphqlOperation[]
  readonly fragments: ReadonlyMap<string, GraphqlOperation>
  /** Absent: the service says nothing. */
  readonly model: CostPlace | undefined
  readonly schema: UpstreamSchema | undefined
  /** Whether variables and defaults count. */
  readonly resolves: boolean
  /** As the client sent them. */
  readonly variables: unknown
}

/** Where the walk is: what has been selected here, of which type it is, and which paths of the model lead here. */
interface Position {
  readonly type: string | undefined
  readonly places: readonly CostPlace[]
}

const nowhere: readonly CostPlace[] = []

/** Of the dearest operation; undefined: it expands into too many selections. */
export function costOf(question: CostQuestion): number | undefined {
  const walk = new Walk(question)
  let cost = 0
  for (const operation of question.operations) cost = Math.max(cost, walk.operation(operation))
  return walk.isExhausted ? undefined : cost
}

class Walk {
  readonly #question: CostQuestion
  readonly #byNodes: boolean
  readonly #variables: Readonly<Record<string, unknown>>
  readonly #open = new Set<string>()
  #defaults: readonly GraphqlBinding[] = []
  #left = mostSelections
  #depth = 0

  constructor(question: CostQuestion) {
    this.#question = question
    this.#byNodes = question.strategy === 'node_quantifier'
    const { variables } = question
    const isMap = typeof variables === 'object' && variables !== null && !Array.isArray(variables)
    this.#variables = question.resolves && isMap ? (variables as Record<string, unknown>) : {}
  }

  get isExhausted(): boolean {
    return this.#left < 0
  }

  operation({ operation, defaults, selections }: GraphqlOperation): number {
    const { schema, resolves } = this.#question
    this.#defaults = resolves ? defaults : []
    const position = this.#at(schema?.roots[operation ?? 'query'], nowhere)
    return this.#cost(position, [], undefined, selections, 1)
  }

  /** @param times that the field is resolved, as far as that is known; for `node_quantifier` */
  #cost(
    position: Position,
    args: readonly GraphqlBinding[],
    field: FieldType | undefined,
    selections: readonly GraphqlSelection[],
    times: number,
  ): number {
    const weight = weightAt(position.places)
    let add = weight.add_value
    let factor = weight.mul_value
    let isQuantified = false
    for (const name of weight.add_arguments ?? []) add += this.#count(name, args, field) ?? 0
    for (const name of weight.mul_arguments ?? []) {
      const count = this.#count(name, args, field)
      if (count === undefined) continue
      factor *= count
      isQuantified = true
    }
    if (!this.#byNodes) return this.#inner(selections, position, 1) * factor + add
    if (!isQuantified) return this.#inner(selections, position, times)
    return times * add + this.#inner(selections, position, times * factor)
  }

  /** Of everything that is selected here; fragments cost nothing themselves. */
  #inner(selections: readonly GraphqlSelection[], position: Position, times: number): number {
    if (++this.#depth > deepest) this.#left = -1
    let sum = 0
    for (const selection of selections) {
      if (--this.#left < 0) break
      sum += this.#selected(selection, position, times)
    }
    this.#depth--
    return sum
  }

  #selected(
    { kind, name, on, args, selections }: GraphqlSelection,
    position: Position,
    times: number,
  ): number {
    if (kind === 'inline') return this.#inner(selections, this.#narrowed(on, position), times)
    if (kind === 'field') {
      const field = this.#question.schema?.types.get(position.type ?? '')?.get(name)
      const led = position.places.flatMap(({ children }) => children.get(name) ?? [])
      return this.#cost(this.#at(field?.type, led), args, field, selections, times)
    }
    const fragment = this.#question.fragments.get(name)
    if (fragment === undefined || this.#open.has(name)) return 0
    this.#open.add(name)
    const cost = this.#inner(fragment.selections, this.#narrowed(fragment.on, position), times)
    this.#open.delete(name)
    return cost
  }

  /** A path may begin at any type that is met. */
  #at(type: string | undefined, led: readonly CostPlace[]): Position {
    const begun = type === undefined ? undefined : this.#question.model?.children.get(type)
    return { type, places: begun === undefined ? led : [...led, begun] }
  }

  /** A fragment is for a type, if the schema has one of that name. */
  #narrowed(on: string, position: Position): Position {
    if (on === '' || on === position.type || !this.#question.schema?.types.has(on)) return position
    return this.#at(on, position.places)
  }

  /** Of an argument that occurs twice, the larger value, since either may count. */
  #count(name: string, args: readonly GraphqlBinding[], field: FieldType | undefined): number | undefined {
    let largest: number | undefined
    let isGiven = false
    for (const arg of args) {
      if (arg.name !== name) continue
      const value = this.#valueOf(arg)
      isGiven ||= value !== undefined
      const count = asCount(value)
      if (count !== undefined && (largest === undefined || count > largest)) largest = count
    }
    if (isGiven || !this.#question.resolves) return largest
    return asCount(field?.defaults.get(name))
  }

  #valueOf({ value: { kind, text } }: GraphqlBinding): unknown {
    if (kind === 'literal') return text.startsWith('"') ? text.slice(1, -1) : text
    if (Object.hasOwn(this.#variables, text)) return this.#variables[text]
    return this.#defaults.find(({ name }) => name === text)?.value.text.replace(/^"(.*)"$/, '$1')
  }
}

/** Undefined: it is none, or could make a query cheaper than it is. */
function asCount(value: unknown): number | undefined {
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === '')) return undefined
  const count = Number(value)
  return count >= 0 && Number.isFinite(count) ? count : undefined
}
