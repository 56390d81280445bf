/** The order in which instances are asked: by priority, and among equals by turn or by a hash of the request. */
import { type Exchange, HashedTurns, type HashSource, WeightedTurns } from '../kit/index.ts'

interface Member {
  readonly name: string
  readonly priority: number
  readonly weight: number
}

type Order = (exchange: Exchange, isUp: (name: string) => boolean) => string[]

/**
 * @param hash undefined: they take turns
 * @param take gives the next turn of a group
 */
export function turnsOf(
  instances: readonly Member[],
  hash: HashSource | undefined,
  take: (priority: number) => number,
): Order {
  const priorities = [...new Set(instances.map(({ priority }) => priority))].sort((a, b) => b - a)
  const groups = priorities.map((priority) => {
    const members = instances.filter((one) => one.priority === priority)
    return hash === undefined ? inTurn(members, () => take(priority)) : byHash(members, hash)
  })
  return (exchange, isUp) => {
    const order = groups.flatMap((group) => group(exchange, isUp))
    // Of several that are all unhealthy, each may be the one that answers after all.
    return order.some(isUp) ? order.filter(isUp) : order
  }
}

function inTurn(members: readonly Member[], take: () => number): Order {
  const names = members.map(({ name }) => name)
  const turns = new WeightedTurns(
    members.map(({ weight }) => weight),
    take,
  )
  // Who has no weight has no turn, and comes after those that have one.
  const byWeight = members
    .toSorted((a, b) => Number(b.weight > 0) - Number(a.weight > 0))
    .map(({ name }) => name)
  return (_exchange, isUp) => {
    // The turn of one that is down goes to whoever has the next one, so that shares stay in proportion.
    for (let tries = 0; tries < names.length * 2; tries++) {
      const turn = turns.next()
      const name = names[turn]
      if (name === undefined) return byWeight
      if (isUp(name) || tries === names.length * 2 - 1)
        return [name, ...byWeight.filter((one) => one !== name)]
    }
    return byWeight
  }
}

function byHash(members: readonly Member[], source: HashSource): Order {
  const ring = new HashedTurns(
    members.map(({ name, weight }) => ({ ringId: Buffer.from(name).toString('latin1'), weight })),
    source,
  )
  return (exchange) => ring.order(exchange).map((index) => members[index]!.name)
}
