import type { Exchange } from './exchange.ts'
import { compileValue, type Value } from './variables.ts'

/** A request whose route is looked for. A thread has one, which begins anew with each search. */
export class Lookup {
  /** Of the search under way. */
  exchange: Exchange = null as unknown as Exchange
  /** Counts the searches. */
  round = 0

  begin(exchange: Exchange): this {
    this.exchange = exchange
    this.round++
    return this
  }
}

export type LookupValue = (lookup: Lookup) => Value

/**
 * What conditions of routes read of a request. Routes that share a path mostly ask for the same few variables, so each is
 * read once in a search, by whichever condition asks first. Nothing changes a request in between.
 */
export class LookupValues {
  readonly #values = new Map<string, LookupValue>()

  /** A getter for a variable, the same for all who ask by that name. */
  readonly of = (name: string): LookupValue => {
    let value = this.#values.get(name)
    if (value === undefined) {
      value = readOnce(compileValue(name))
      this.#values.set(name, value)
    }
    return value
  }

  /** Variables that are asked for from now on are read anew, so that names that nobody uses any more are let go. */
  forget(): void {
    this.#values.clear()
  }
}

function readOnce(read: (exchange: Exchange) => Value): LookupValue {
  let round = -1
  let value: Value
  return (lookup) => {
    if (round !== lookup.round) {
      value = read(lookup.exchange)
      round = lookup.round
    }
    return value
  }
}
