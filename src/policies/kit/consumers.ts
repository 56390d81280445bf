import type { ConsumerSpec } from '../../config/plan.ts'
import type { Consumer } from '../../proxy/exchange.ts'

/** The consumers of the current plan, as exchanges carry them: one object for each, for as long as it is unchanged. */
export class ConsumerDirectory {
  readonly #source: () => ReadonlyMap<string, ConsumerSpec>
  readonly #made = new WeakMap<ConsumerSpec, Consumer>()

  constructor(source: () => ReadonlyMap<string, ConsumerSpec>) {
    this.#source = source
  }

  specs(): Iterable<ConsumerSpec> {
    return this.#source().values()
  }

  find(username: string): Consumer | undefined {
    const spec = this.#source().get(username)
    return spec && this.of(spec)
  }

  of(spec: ConsumerSpec): Consumer {
    let consumer = this.#made.get(spec)
    if (!consumer) {
      consumer = { username: spec.username, customId: spec.labels?.custom_id, spec }
      this.#made.set(spec, consumer)
    }
    return consumer
  }
}
