import { examples } from '../src/policies/examples.ts'
import type { PolicyName } from '../src/policies/index.ts'
import { baseHost, type ExampleRequest, exampleRequest, notRun } from '../test/harness/example-requests.ts'
import type { ExampleServices } from '../test/harness/example-services.ts'
import { type Spread, spread } from './statistics.ts'

/** Policies that are not measured, with the reason. */
export const notMeasured: { readonly [name in PolicyName]?: string } = {
  ...notRun,
  'batch-requests': 'makes several requests of one, each of which costs what any other does',
  'exit-transformer': 'has nothing to do for a request that goes well',
  'error-page': 'has nothing to do for a request that goes well',
  mocking: 'answers in place of the upstream, so nothing is added to a forwarded request',
  'node-status': 'has nothing to do for a request',
  'public-api': 'answers in place of the upstream, so nothing is added to a forwarded request',
  'server-info': 'has nothing to do for a request',
}

/** Policies that one gateway is started for, and that are measured against the same route without any of them. */
export interface Group {
  base: string
  request: ExampleRequest
  names: PolicyName[]
}

const largestGroup = 6

/**
 * The policies that are measured, in groups whose requests have the same method, path and body, and the same policies
 * beside them.
 */
export function groups(names: readonly PolicyName[], services: ExampleServices): Group[] {
  const open = new Map<string, Group>()
  const all: Group[] = []
  for (const name of names) {
    if (notMeasured[name] !== undefined) continue
    const { headers: _, ...request } = exampleRequest(name, services)
    const kind = JSON.stringify([examples[name].beside, request])
    let group = open.get(kind)
    if (group === undefined || group.names.length === largestGroup) {
      group = { base: baseHost(name), request, names: [] }
      open.set(kind, group)
      all.push(group)
    }
    group.names.push(name)
  }
  return all
}

/** CPU microseconds for each request in one round: of the policy, and of the route without it at both ends. */
export interface RoundCost {
  with: number
  without: readonly [before: number, after: number]
}

export interface PolicyCost {
  /** CPU microseconds that the policy adds to a request, round by round against the same round. */
  added: Spread
  without: Spread
  /** Nothing was shown: less than the route without it differed from itself, or not of one sign in all rounds. */
  isNoise: boolean
}

export function costOf(rounds: readonly RoundCost[]): PolicyCost {
  const added = spread(rounds.map((round) => round.with - (round.without[0] + round.without[1]) / 2))
  const noise = Math.max(...rounds.map(({ without: [before, after] }) => Math.abs(after - before) / 2))
  return {
    added,
    without: spread(rounds.flatMap((round) => round.without)),
    isNoise: Math.abs(added.median) <= noise || added.min * added.max <= 0,
  }
}

/** A row for each policy; a cost within the noise has "~" in front of it. */
export function costTable(
  costs: ReadonlyMap<PolicyName, PolicyCost>,
  haproxy: ReadonlyMap<PolicyName, PolicyCost>,
): { columns: string[]; rows: string[][] } {
  return {
    columns: ['policy', 'adds us', 'route us', 'haproxy adds us'],
    rows: Array.from(costs, ([name, cost]) => {
      const other = haproxy.get(name)
      return [name, figures(cost), cost.without.median.toFixed(1), other === undefined ? '-' : figures(other)]
    }),
  }
}

function figures({ added: { median, min, max }, isNoise }: PolicyCost): string {
  return `${isNoise ? '~ ' : ''}${median.toFixed(1)} [${min.toFixed(1)}-${max.toFixed(1)}]`
}
