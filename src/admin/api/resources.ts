/** GET, PUT, POST, PATCH and DELETE of resources, with the answers of APISIX. */
import type { Configuration } from '../../config/configuration.ts'
import { applyJsonPatch, PatchProblem } from '../../config/json-patch.ts'
import { isCertificateKind, sslIdOf } from '../../config/sni-resources.ts'
import type { LiveConfiguration, Transaction } from '../live-configuration.ts'
import { type Answer, failure, JsonText, keyNotFound } from './answer.ts'
import type { StoredResource } from './disk.ts'
import type { Expiry } from './expiry.ts'
import { hold, remove } from './holding.ts'
import type { Verb } from './kinds.ts'
import { fileResource, folderOf, fromFile, keyOf, listResources, maskedKeys, resourceText } from './lists.ts'
import { mergePatch, setAtPath } from './patch.ts'
import { type ResourceCheck, surroundingsIn } from './resource-check.ts'
import { readTarget, type Target } from './target.ts'
import { useError } from './uses.ts'

type Value = Record<string, unknown>

export interface ResourceRequest {
  verb: Verb
  target: Target
  /** Of the request's body; absent: there was none. */
  body?: unknown
  query: URLSearchParams
  /** Of a service: its routes go with it, as in API7. */
  cascade?: boolean
}

/** Epoch seconds. */
export type Now = () => number

export class ResourceHandler {
  readonly #live: LiveConfiguration
  readonly #check: ResourceCheck
  readonly #expiry: Expiry
  readonly #now: Now

  constructor(live: LiveConfiguration, check: ResourceCheck, expiry: Expiry, now: Now) {
    this.#live = live
    this.#check = check
    this.#expiry = expiry
    this.#now = now
  }

  async handle(request: ResourceRequest): Promise<Answer> {
    const { verb, target } = request
    if (target.kind.refused.includes(verb)) {
      return failure(405, `not supported \`${verb.toUpperCase()}\` method for ${target.kind.noun}`)
    }
    const work = this[verb]
    const job = (transaction: Transaction) => work.call(this, request, transaction)
    return isTrial(request.query) ? this.#live.try(job) : this.#live.run(job)
  }

  get({ target, query }: ResourceRequest, transaction: Transaction): Answer {
    if (target.id === undefined) return listResources(target, query, transaction)
    const found = transaction.store.get(folderOf(target), target.id)
    if (found !== undefined) return { status: 200, body: new JsonText(resourceText(found)) }
    const value = fromFile(target.kind, target.id, transaction)
    if (value === undefined) return keyNotFound
    return { status: 200, body: fileResource(target.kind, target.id, value) }
  }

  put(request: ResourceRequest, transaction: Transaction): Answer {
    const { body } = request
    if (body === undefined) return failure(400, 'missing configurations')
    const value: Value = { ...(body as Value) }
    const target = identify(request.target, value)
    if ('status' in target) return target
    const forbidden = forbiddenProperty(value)
    if (forbidden !== undefined) return failure(400, forbidden)
    return this.#write(target, value, transaction, request.query)
  }

  post(request: ResourceRequest, transaction: Transaction): Answer {
    const { target, body } = request
    if (body === undefined) return failure(400, 'missing configurations')
    const value: Value = { ...(body as Value) }
    if (target.id !== undefined || value.id !== undefined) {
      return failure(400, `wrong ${target.kind.noun} id, do not need it`)
    }
    const forbidden = forbiddenProperty(value)
    if (forbidden !== undefined) return failure(400, forbidden)
    const id = String(transaction.store.revision + 1).padStart(20, '0')
    value.id = id
    return this.#write({ ...target, id, key: `${target.key}/${id}` }, value, transaction, request.query)
  }

  patch(request: ResourceRequest, transaction: Transaction): Answer {
    const { target, body } = request
    const { id, kind, subPath } = target
    if (id === undefined)
      return failure(400, kind.name === 'secrets' ? 'no secret id' : `missing ${kind.noun} id`)
    if (body === undefined) return failure(400, 'missing new configuration')
    if (subPath.length === 0 && (typeof body !== 'object' || body === null)) {
      return failure(400, 'invalid configuration')
    }
    const stored = transaction.store.get(folderOf(target), id)
    if (stored === undefined) return this.#fileConflict(target, transaction.configuration) ?? keyNotFound
    const before = JSON.parse(stored.value) as Value
    if (kind.name === 'graphql_cost_decorations' && (body as Value).service_id !== undefined) {
      return failure(400, 'service_id can not be patched')
    }
    const patched = patchedValue(before, subPath, body)
    if ('problem' in patched) return failure(400, patched.problem)
    const { value } = patched
    if (value.id !== undefined && String(value.id) !== String(before.id))
      return failure(400, `wrong ${kind.noun} id`)
    value.id = id
    const keepsTime = subPath.length === 0 && (body as Value).update_time !== undefined
    if (!keepsTime) value.update_time = this.#now()
    return this.#write(target, value, transaction, request.query)
  }

  delete({ target, query, cascade = false }: ResourceRequest, transaction: Transaction): Answer {
    const { id, kind } = target
    if (id === undefined) return failure(400, `missing ${kind.noun} id`)
    const { store, configuration } = transaction
    if (cascade && kind.name === 'services' && id !== undefined) removeRoutes(id, transaction)
    if (query.get('force') !== 'true') {
      const use = useError(kind.name, id, configuration)
      if (use !== undefined) return failure(400, use)
    }
    if (store.get(folderOf(target), id) === undefined) {
      return this.#fileConflict(target, configuration) ?? keyNotFound
    }
    remove(target, transaction)
    return { status: 200, body: { key: keyOf(target.key), deleted: '1' } }
  }

  /** Checks a value that is complete and carries its id, and puts it where it belongs. */
  #write(target: Target, value: Value, transaction: Transaction, query: URLSearchParams): Answer {
    const id = target.id!
    const { store, configuration } = transaction
    const checked = this.#check.check(target, value, surroundingsIn(configuration, target))
    if ('error' in checked) return failure(400, checked.error)
    if (target.consumer !== undefined && !configuration.has('consumers', target.consumer)) {
      return failure(404, 'consumer not found')
    }
    const conflict = this.#fileConflict(target, configuration) ?? ownerConflict(target, transaction)
    if (conflict !== undefined) return conflict
    const before = store.get(folderOf(target), id)
    if (target.kind.identity !== 'plugin') this.#stamp(value, before)
    if (target.kind.name === 'graphql_cost_decorations') value.service_id = target.service
    const ttl = query.get('ttl')
    const expires = ttl === null ? null : Math.ceil(this.#now() + Number(ttl))
    hold(target, { value, input: checked.input, expires }, transaction)
    if (expires !== null && !isTrial(query)) this.#expiry.expect(expires)
    const created = before === undefined
    return {
      status: created ? 201 : 200,
      body: { key: keyOf(target.key), value: maskedKeys(target.kind, value) },
    }
  }

  #stamp(value: Value, before: StoredResource | undefined): void {
    value.create_time ??= (before && (JSON.parse(before.value) as Value).create_time) ?? this.#now()
    value.update_time ??= this.#now()
  }

  /** What stands in a file is changed there. */
  #fileConflict({ kind, id }: Target, configuration: Configuration): Answer | undefined {
    if (id === undefined || !configuration.isFromFile(kind.plan ?? kind.name, id)) return undefined
    return failure(409, `${kind.noun} [${id}] is in a configuration file, and can only be changed there`)
  }
}

/** `dry-run=all`: everything is looked at and answered, and nothing is changed. */
export const isTrial = (query: URLSearchParams): boolean => query.get('dry-run') === 'all'

/** Those that can be: what stands in a file stays, and keeps its service. */
function removeRoutes(service: string, transaction: Transaction): void {
  const { store, configuration } = transaction
  for (const user of [...configuration.usersOf(`services/${service}`)]) {
    const [kind, id] = user.split('/') as [string, string]
    if (kind !== 'routes' && kind !== 'stream_routes') continue
    if (store.get(kind, id) !== undefined) remove(readTarget([kind, id])!, transaction)
  }
}

/** An upstream belongs to one service, or to none; and an entry of `ssls` may come of another resource. */
function ownerConflict(target: Target, { store, configuration }: Transaction): Answer | undefined {
  const { kind, id, service } = target
  const [plan, made] = isCertificateKind(kind.name)
    ? (['ssls', sslIdOf(kind.name, id!)] as const)
    : [kind.plan, id!]
  if (plan === undefined || !configuration.has(plan, made)) {
    if (service === undefined || configuration.has('services', service)) return undefined
    return failure(404, 'service not found')
  }
  if (target.consumer !== undefined || store.get(folderOf(target), id!) !== undefined) return undefined
  return failure(409, `there is another ${plan.slice(0, -1)} [${made}] already`)
}

/** The target with the id that path or body give; or what is wrong with it. */
function identify(target: Target, value: Value): Target | Answer {
  const { kind, id, key } = target
  if (kind.identity === 'username') {
    if (typeof value.username !== 'string' || id !== undefined) return target
    return { ...target, id: value.username, key: `${key}/${value.username}` }
  }
  if (kind.identity === 'plugin') {
    value.id = id
    return target
  }
  const given = id ?? value.id
  if (given === undefined) return failure(400, `missing ${kind.noun} id`)
  if (value.id !== undefined && String(value.id) !== String(given))
    return failure(400, `wrong ${kind.noun} id`)
  value.id = given
  return id !== undefined ? target : { ...target, id: String(given), key: `${key}/${given}` }
}

function forbiddenProperty(value: Value): string | undefined {
  for (const [place, part] of [
    ['', value],
    [' upstream.', value.upstream],
    [' plugins.', value.plugins],
  ] as const) {
    if (typeof part !== 'object' || part === null) continue
    for (const name of ['create_time', 'update_time']) {
      if ((part as Value)[name] !== undefined)
        return `the property is forbidden: ${place === '' ? ' ' : place}${name}`
    }
  }
  return undefined
}

/** The three ways in which a resource is patched: at a path below it, by JSON Patch, and by merging. */
function patchedValue(
  before: Value,
  subPath: readonly string[],
  body: unknown,
): { value: Value } | { problem: string } {
  if (subPath.length > 0) return setAtPath(before, subPath, body)
  if (!Array.isArray(body)) return { value: mergePatch(before, body as Value) }
  try {
    const value = applyJsonPatch(before, body)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { value: value as Value }
    return { problem: 'invalid configuration' }
  } catch (error) {
    if (error instanceof PatchProblem) return { problem: `invalid patch: ${error.message}` }
    throw error
  }
}
