import type { ContractSpec } from '../../config/plan.ts'
import type { BindingInfo } from '../../proxy/exchange.ts'

/** The contracts of one consumer, by what they are about. */
interface Agreements {
  readonly routes: Map<string, ContractSpec>
  readonly services: Map<string, ContractSpec>
  everywhere: ContractSpec | undefined
}

/** Who has an agreement about which API. Built from the plan's contracts, again whenever they change. */
export class ContractIndex {
  readonly #source: () => ReadonlyMap<string, ContractSpec>
  readonly #consumers = new Map<string, Agreements>()
  readonly #routes = new Set<string>()
  readonly #services = new Set<string>()
  #everywhere = false
  #stale = true
  /** The last question and its answer: several policies of one chain ask the same about one request. */
  #username = ''
  #binding: BindingInfo | undefined
  #found: ContractSpec | undefined

  constructor(source: () => ReadonlyMap<string, ContractSpec>) {
    this.#source = source
  }

  /** Contracts changed: the next lookup reads them again. */
  invalidate(): void {
    this.#stale = true
  }

  find(username: string, binding: BindingInfo): ContractSpec | undefined {
    if (this.#stale) this.#build()
    if (binding !== this.#binding || username !== this.#username) {
      this.#binding = binding
      this.#username = username
      this.#found = this.#lookUp(username, binding)
    }
    return this.#found
  }

  governs(binding: BindingInfo): boolean {
    if (this.#stale) this.#build()
    return this.#everywhere || this.#services.has(binding.serviceId) || this.#routes.has(binding.routeId)
  }

  #lookUp(username: string, binding: BindingInfo): ContractSpec | undefined {
    const agreements = this.#consumers.get(username)
    if (!agreements) return undefined
    return (
      agreements.routes.get(binding.routeId) ??
      agreements.services.get(binding.serviceId) ??
      agreements.everywhere
    )
  }

  #build(): void {
    this.#binding = undefined
    this.#consumers.clear()
    this.#routes.clear()
    this.#services.clear()
    this.#everywhere = false
    for (const contract of this.#source().values()) this.#add(contract)
    this.#stale = false
  }

  #add(contract: ContractSpec): void {
    let agreements = this.#consumers.get(contract.consumer)
    if (!agreements) {
      agreements = { routes: new Map(), services: new Map(), everywhere: undefined }
      this.#consumers.set(contract.consumer, agreements)
    }
    if (contract.route_id !== undefined) {
      agreements.routes.set(contract.route_id, contract)
      this.#routes.add(contract.route_id)
    } else if (contract.service_id !== undefined) {
      agreements.services.set(contract.service_id, contract)
      this.#services.add(contract.service_id)
    } else {
      agreements.everywhere = contract
      this.#everywhere = true
    }
  }
}
