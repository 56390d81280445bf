/** Resources as they are answered: one, and lists of them. What stands in files is listed beside what the store holds. */
import { isSecretReference } from '../../config/secret-reference.ts'
import type { Transaction } from '../live-configuration.ts'
import { type Answer, JsonText, keyNotFound } from './answer.ts'
import type { StoredResource } from './disk.ts'
import type { AdminKind } from './kinds.ts'
import { type ListQuery, readListQuery } from './list-query.ts'
import type { Target } from './target.ts'

type Value = Record<string, unknown>

/** Where the store has it. */
export function folderOf({ kind, consumer, service }: Target): string {
  if (service !== undefined) return `services/${service}/${kind.name}`
  return consumer === undefined ? kind.name : `consumers/${consumer}/credentials`
}

export const keyOf = (key: string): string => `/apisix/${key}`

export function listResources(target: Target, query: URLSearchParams, transaction: Transaction): Answer {
  const { store } = transaction
  const { kind, consumer } = target
  const folder = folderOf(target)
  const wanted = readListQuery(kind.name, query)
  if ('problem' in wanted) return { status: 400, body: wanted.problem }
  const files = target.service !== undefined || consumer !== undefined ? [] : fromFiles(kind, transaction)
  if (files.length === 0 && wanted.accepts === undefined && wanted.page !== undefined) {
    return list(store.page(folder, wanted.page).map(resourceText), store.count(folder))
  }
  const stored = store.list(folder)
  // A consumer has no list of credentials before it has one, and a service none of decorations, as in APISIX.
  const mustHave = consumer !== undefined || kind.name === 'graphql_cost_decorations'
  if (stored.length === 0 && mustHave) return keyNotFound
  return chosen(
    [
      ...files.map(({ id, value }) => ({
        created: 0,
        text: () => JSON.stringify(fileResource(kind, id, value)),
        value: () => value,
      })),
      ...stored.map((resource) => ({
        created: resource.created,
        text: () => resourceText(resource),
        value: () => JSON.parse(resource.value) as Value,
      })),
    ],
    wanted,
  )
}

/** What stands in files, of a plan or kept beside it. */
function fromFiles(
  { name, plan }: AdminKind,
  { configuration }: Transaction,
): { id: string; value: Value }[] {
  return [...(plan === undefined ? configuration.keptFromFiles(name) : configuration.fromFiles(plan))]
}

export const fromFile = ({ name, plan }: AdminKind, id: string, { configuration }: Transaction) =>
  plan === undefined ? configuration.keptFromFile(name, id) : configuration.fromFile(plan, id)

interface Listed {
  created: number
  text(): string
  value(): Value
}

/** `total` counts what was chosen, on whichever page. */
function chosen(all: readonly Listed[], { accepts, page }: ListQuery): Answer {
  const found = accepts === undefined ? all : all.filter((one) => accepts(one.value()))
  const shown =
    page === undefined
      ? found
      : found
          .toSorted((a, b) => a.created - b.created)
          .slice((page.number - 1) * page.size, page.number * page.size)
  return list(
    shown.map((one) => one.text()),
    found.length,
  )
}

const list = (texts: readonly string[], total: number): Answer => ({
  status: 200,
  body: new JsonText(`{"list":[${texts.join(',')}],"total":${total}}`),
})

/** Without indexes of its own, because no store counts its changes. */
export const fileResource = (kind: AdminKind, id: string, value: Value) => ({
  key: keyOf(`${kind.name}/${id}`),
  value: { id, ...(holdsPrivateKeys(kind.name) ? withoutPrivateKeys(value) : value) },
  createdIndex: 0,
  modifiedIndex: 0,
})

export function resourceText({ kind, id, value, created, modified }: StoredResource): string {
  const shown = holdsPrivateKeys(kind) ? JSON.stringify(withoutPrivateKeys(JSON.parse(value))) : value
  const key = JSON.stringify(keyOf(`${kind}/${id}`))
  return `{"key":${key},"value":${shown},"createdIndex":${created},"modifiedIndex":${modified}}`
}

/** The private keys of certificates go in and do not come out: what was written is answered with masks in their place. */
export function maskedKeys({ name }: AdminKind, value: Value): Value {
  return holdsPrivateKeys(name) ? masked(value) : value
}

function masked(value: Value): Value {
  const shown = { ...value }
  if (typeof value.key === 'string') shown.key = maskOf(value.key)
  if (Array.isArray(value.keys)) shown.keys = value.keys.map(maskOf)
  if (Array.isArray(value.certificates)) shown.certificates = eachPair(value.certificates, masked)
  return shown
}

export const holdsPrivateKeys = (kind: string) =>
  kind === 'ssls' || kind === 'certificates' || kind === 'snis'

/** Names have ids of certificates, and certificates themselves. */
const eachPair = (list: readonly unknown[], work: (pair: Value) => Value) =>
  list.map((one) => (typeof one === 'object' && one !== null ? work(one as Value) : one))

/** A reference says where a key is kept, not what it is. */
const maskOf = (key: unknown) => (typeof key === 'string' && isSecretReference(key) ? key : '******')

export function withoutPrivateKeys({ key: _key, keys: _keys, ...value }: Value): Value {
  if (!Array.isArray(value.certificates)) return value
  return { ...value, certificates: eachPair(value.certificates, withoutPrivateKeys) }
}
