/** Which routes a service, a plugin config or an upstream reaches, so that a change of one looks at no others. */
import type { PlanChanges, RouteSpec, ServiceSpec } from '../config/plan.ts'

/** Ids by the id of what they refer to. */
class Index {
  readonly #users = new Map<string, Set<string>>()

  add(used: string | undefined, user: string): void {
    if (used === undefined) return
    const users = this.#users.get(used)
    if (users === undefined) this.#users.set(used, new Set([user]))
    else users.add(user)
  }

  remove(used: string | undefined, user: string): void {
    if (used === undefined) return
    const users = this.#users.get(used)
    users?.delete(user)
    if (users?.size === 0) this.#users.delete(used)
  }

  of(used: string): Iterable<string> {
    return this.#users.get(used) ?? []
  }
}

export class RouteUses {
  readonly #routes = new Map<string, RouteSpec>()
  readonly #services = new Map<string, ServiceSpec>()
  readonly #byService = new Index()
  readonly #byConfig = new Index()
  readonly #byUpstream = new Index()
  readonly #servicesByUpstream = new Index()

  apply({ put, remove }: PlanChanges): void {
    for (const id of remove.routes ?? []) this.#setRoute(id, undefined)
    for (const id of remove.services ?? []) this.#setService(id, undefined)
    for (const route of put.routes ?? []) this.#setRoute(route.id, route)
    for (const service of put.services ?? []) this.#setService(service.id, service)
  }

  /** Routes that refer to any of these, the upstreams also through their service. */
  *reached(
    services: Iterable<string>,
    configs: Iterable<string>,
    upstreams: Iterable<string>,
  ): Generator<RouteSpec> {
    for (const id of services) yield* this.#of(this.#byService.of(id))
    for (const id of configs) yield* this.#of(this.#byConfig.of(id))
    for (const id of upstreams) {
      yield* this.#of(this.#byUpstream.of(id))
      for (const service of this.#servicesByUpstream.of(id)) yield* this.#of(this.#byService.of(service))
    }
  }

  *#of(ids: Iterable<string>): Generator<RouteSpec> {
    for (const id of ids) yield this.#routes.get(id)!
  }

  #setRoute(id: string, route: RouteSpec | undefined): void {
    const before = this.#routes.get(id)
    if (before !== undefined) {
      this.#byService.remove(before.service_id, id)
      this.#byConfig.remove(before.plugin_config_id, id)
      this.#byUpstream.remove(before.upstream_id, id)
    }
    if (route === undefined) {
      this.#routes.delete(id)
      return
    }
    this.#routes.set(id, route)
    this.#byService.add(route.service_id, id)
    this.#byConfig.add(route.plugin_config_id, id)
    this.#byUpstream.add(route.upstream_id, id)
  }

  #setService(id: string, service: ServiceSpec | undefined): void {
    this.#servicesByUpstream.remove(this.#services.get(id)?.upstream_id, id)
    if (service === undefined) {
      this.#services.delete(id)
      return
    }
    this.#services.set(id, service)
    this.#servicesByUpstream.add(service.upstream_id, id)
  }
}
