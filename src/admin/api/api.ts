/** The Admin API: from a request to its answer. */
import type { Catalogue } from '../../config/policy-check.ts'
import type { AdminSettings } from '../../config/settings.ts'
import type { Log } from '../../telemetry/log.ts'
import { type LiveConfiguration, NotApplied } from '../live-configuration.ts'
import { type Answer, failure } from './answer.ts'
import { Expiry } from './expiry.ts'
import { parseJsonBody } from './json-body.ts'
import { AdminKeys } from './keys.ts'
import type { Verb } from './kinds.ts'
import type { ApiRequest } from './request.ts'
import { ResourceCheck } from './resource-check.ts'
import { ResourceHandler } from './resources.ts'
import { readTarget } from './target.ts'

export interface AdminApiOptions {
  settings: AdminSettings
  live: LiveConfiguration
  catalogue: Catalogue
  log: Log
  /** Epoch milliseconds. */
  now?: () => number
}

const verbs: Readonly<Record<string, Verb>> = {
  GET: 'get',
  PUT: 'put',
  POST: 'post',
  PATCH: 'patch',
  DELETE: 'delete',
}

export class AdminApi {
  readonly #keys: AdminKeys
  readonly #resources: ResourceHandler
  readonly #expiry: Expiry
  readonly #log: Log

  constructor({ settings, live, catalogue, log, now = Date.now }: AdminApiOptions) {
    this.#keys = new AdminKeys(settings)
    this.#log = log
    this.#expiry = new Expiry(live, log, now)
    const check = new ResourceCheck(catalogue)
    this.#resources = new ResourceHandler(live, check, this.#expiry, () => Math.floor(now() / 1000))
  }

  close(): void {
    this.#expiry.close()
  }

  async answer(request: ApiRequest): Promise<Answer> {
    const [root, admin, ...segments] = request.segments
    if (root !== 'apisix' || admin !== 'admin') return failure(404, '404 Not Found')
    if (request.method === 'HEAD' && segments.length === 0) return { status: 200 }
    const verb = Object.hasOwn(verbs, request.method) ? verbs[request.method] : undefined
    if (verb === undefined) return failure(404, '404 Not Found')
    const admission = this.#keys.admit(request.method, request.query, request.headers)
    if ('refused' in admission) {
      return {
        status: 401,
        body: { error_msg: 'failed to check token', description: admission.refused },
      }
    }
    return this.#resource(verb, segments, request)
  }

  async #resource(verb: Verb, segments: readonly string[], { body, query }: ApiRequest): Promise<Answer> {
    const target = readTarget(segments)
    if (target === undefined) return failure(404, `Unsupported resource type: ${segments[0] ?? ''}`)
    const ttl = query.get('ttl')
    if (ttl !== null && !(Number(ttl) > 0)) return failure(400, 'invalid argument ttl: should be a number')
    let value: unknown
    if (body !== undefined) {
      try {
        value = parseJsonBody(body)
      } catch (error) {
        const message = `invalid request body: ${(error as Error).message}`
        return { status: 400, body: { error_msg: message, req_body: body } }
      }
    }
    try {
      const answer = await this.#resources.handle({
        verb,
        target,
        query,
        ...(value !== undefined && { body: value }),
      })
      return { ...answer, headers: { 'X-API-VERSION': 'v3', ...answer.headers } }
    } catch (error) {
      if (!(error instanceof NotApplied)) throw error
      this.#log.error({ reason: error.message, key: target.key }, 'a change of the Admin API was not applied')
      return failure(503, `the change was not applied: ${error.message}`)
    }
  }
}
