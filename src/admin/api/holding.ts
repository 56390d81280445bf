/** Puts resources where they belong, in the store and in the configuration, and takes them away. */
import type { Configuration, Undo } from '../../config/configuration.ts'
import type { Inputs } from '../../config/declarations.ts'
import type { ResourceKind } from '../../config/plan.ts'
import type { CostDecorationInput, CredentialInput } from '../../config/resources.ts'
import { type CertificateKind, isCertificateKind, sslIdOf, sslOf } from '../../config/sni-resources.ts'
import type { Transaction } from '../live-configuration.ts'
import type { StoredResource } from './disk.ts'
import { folderOf } from './lists.ts'
import type { Target } from './target.ts'

export interface Held {
  /** As it was written. */
  value: Record<string, unknown>
  /** Checked, with its defaults. */
  input: object
  /** Epoch seconds; null: never. */
  expires: number | null
}

export function hold(
  target: Target,
  { value, input, expires }: Held,
  transaction: Transaction,
): StoredResource {
  const { store, writes, configuration } = transaction
  writes(setInput(target, input, configuration))
  followCertificates(target, transaction)
  return store.put(folderOf(target), target.id!, JSON.stringify(value), expires)
}

/** A consumer's credentials go with it, and a service's further upstreams and decorations. */
export function remove(target: Target, transaction: Transaction): void {
  const { store, writes, configuration } = transaction
  const id = target.id!
  writes(setInput(target, undefined, configuration))
  followCertificates(target, transaction)
  store.remove(folderOf(target), id)
  if (target.kind.name === 'services') {
    const upstreams = `services/${id}/upstreams`
    for (const upstream of store.list(upstreams)) {
      writes(configuration.set('upstreams', upstream.id, undefined))
      store.remove(upstreams, upstream.id)
    }
    const decorations = `services/${id}/graphql_cost_decorations`
    for (const decoration of store.list(decorations)) {
      writes(configuration.setDecoration(id, decoration.id, undefined))
      store.remove(decorations, decoration.id)
    }
  }
  if (target.kind.name !== 'consumers') return
  const folder = `consumers/${id}/credentials`
  for (const credential of store.list(folder)) {
    writes(configuration.setCredential(id, credential.id, undefined))
    store.remove(folder, credential.id)
  }
}

/** Names show other certificates when one of theirs has changed, or they themselves. */
function followCertificates({ kind, id }: Target, { configuration, writes }: Transaction): void {
  if (!isCertificateKind(kind.name)) return
  follow(kind.name, id!)
  for (const user of [...configuration.usersOf(`${kind.name}/${id}`)]) {
    if (user.startsWith('snis/')) follow('snis', user.slice('snis/'.length))
  }

  function follow(kind: CertificateKind, id: string): void {
    const resource = configuration.kept(kind, id)
    const ssl = resource && sslOf(kind, resource, (kind, id) => configuration.kept(kind, id))
    writes(configuration.set('ssls', sslIdOf(kind, id), ssl))
  }
}

function setInput(target: Target, input: object | undefined, configuration: Configuration): Undo | undefined {
  const { kind, id, consumer } = target
  if (consumer !== undefined)
    return configuration.setCredential(consumer, id!, input as CredentialInput | undefined)
  if (kind.name === 'graphql_cost_decorations') {
    return configuration.setDecoration(target.service!, id!, input as CostDecorationInput | undefined)
  }
  if (kind.plan === undefined) return configuration.keep(kind.name, id!, input)
  return configuration.set(kind.plan, id!, input as Inputs[ResourceKind] | undefined)
}
