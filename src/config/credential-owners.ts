/** Who identifies with what: finds the owner of a credential without looking at the others. */
import type { Plugins } from './plan.ts'
import { type Catalogue, identifyingField } from './policy-check.ts'
import { isSecretReference } from './secret-reference.ts'

export interface CredentialOwner {
  username: string
  /** Id of the credential; absent: it stands in the consumer itself. */
  credential?: string
}

export class CredentialOwners {
  readonly #catalogue: Catalogue
  readonly #owners = new Map<string, CredentialOwner[]>()

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  add(owner: CredentialOwner, plugins: Plugins | undefined): void {
    for (const key of this.#keys(plugins)) {
      const owners = this.#owners.get(key)
      if (owners === undefined) this.#owners.set(key, [owner])
      else owners.push(owner)
    }
  }

  remove(owner: CredentialOwner, plugins: Plugins | undefined): void {
    for (const key of this.#keys(plugins)) {
      const left = (this.#owners.get(key) ?? []).filter((other) => !same(other, owner))
      if (left.length > 0) this.#owners.set(key, left)
      else this.#owners.delete(key)
    }
  }

  of(policy: string, value: string): readonly CredentialOwner[] {
    return this.#owners.get(`${policy} ${value}`) ?? []
  }

  *#keys(plugins: Plugins | undefined): Generator<string> {
    for (const name in plugins) {
      const policy = this.#catalogue.get(name)
      const field = policy && identifyingField(policy)
      const value = field === undefined ? undefined : plugins[name]?.[field]
      if (typeof value === 'string' && !isSecretReference(value)) yield `${name} ${value}`
    }
  }
}

const same = (a: CredentialOwner, b: CredentialOwner) =>
  a.username === b.username && a.credential === b.credential
