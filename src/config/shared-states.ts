/** Configurations of policies that share one state, by what they share: finds out whether all of them are the same. */
import { equal } from './copy.ts'
import type { PluginConfig, Plugins } from './plan.ts'
import type { Catalogue } from './policy-check.ts'

export class SharedStates {
  readonly #catalogue: Catalogue
  readonly #uses = new Map<string, Map<string, PluginConfig>>()

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  /** `owner`: the resource that holds the plugins. */
  add(owner: string, plugins: Plugins | undefined): void {
    if (plugins === undefined) return
    for (const [key, config] of this.#shared(plugins)) {
      const uses = this.#uses.get(key)
      if (uses === undefined) this.#uses.set(key, new Map([[owner, config]]))
      else uses.set(owner, config)
    }
  }

  remove(owner: string, plugins: Plugins | undefined): void {
    for (const [key] of this.#shared(plugins)) {
      const uses = this.#uses.get(key)
      uses?.delete(owner)
      if (uses?.size === 0) this.#uses.delete(key)
    }
  }

  /** Whether anything but `owner` shares the state of this configuration, and has another one. */
  conflicts(policy: string, config: PluginConfig, owner: string): boolean {
    for (const [key, own] of this.#shared({ [policy]: config })) {
      for (const [other, theirs] of this.#uses.get(key) ?? []) {
        if (other !== owner && !equal(own, theirs)) return true
      }
    }
    return false
  }

  *#shared(plugins: Plugins | undefined): Generator<[key: string, config: PluginConfig]> {
    for (const name in plugins) {
      const { _meta: meta, ...config } = plugins[name]!
      if (meta?.disable === true) continue
      const state = this.#catalogue.get(name)?.sharedState?.(config)
      if (state !== undefined) yield [`${name} ${state}`, config]
    }
  }
}
