/** The Admin API: from a request to its answer. */
import type { Catalogue } from '../../config/policy-check.ts'
import type { AdminSettings } from '../../config/settings.ts'
import type { Log } from '../../telemetry/log.ts'
import { type LiveConfiguration, NotApplied } from '../live-configuration.ts'
import { type Answer, failure } from './answer.ts'
import { ConfigsHandler } from './configs.ts'
import { Expiry } from './expiry.ts'
import { parseJsonBody } from './json-body.ts'
import { AdminKeys, type Caller } from './keys.ts'
import type { Verb } from './kinds.ts'
import { type ApiRequest, BodyTooLarge } from './request.ts'
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
  readonly #configs: ConfigsHandler
  readonly #expiry: Expiry
  readonly #log: Log

  constructor({ settings, live, catalogue, log, now = Date.now }: AdminApiOptions) {
    this.#keys = new AdminKeys(settings)
    this.#log = log
    this.#expiry = new Expiry(live, log, now)
    const check = new ResourceCheck(catalogue)
    const seconds = () => Math.floor(now() / 1000)
    this.#resources = new ResourceHandler(live, check, this.#expiry, seconds)
    this.#configs = new ConfigsHandler(live, check, catalogue, seconds)
  }

  close(): void {
    this.#expiry.close()
  }

  /** `withBody` reads the body of a request that may be made. */
  async answer(head: ApiRequest, withBody: () => Promise<ApiRequest>): Promise<Answer> {
    const [root, admin, ...segments] = head.segments
    if (root !== 'apisix' || admin !== 'admin') return failure(404, '404 Not Found')
    if (head.method === 'HEAD' && segments.length === 0) return { status: 200 }
    const admission = this.#keys.admit(head.method, head.query, head.headers)
    if ('refused' in admission) {
      return {
        status: 401,
        body: { error_msg: 'failed to check token', description: admission.refused },
      }
    }
    try {
      return await this.#dispatch(segments, await withBody(), admission.caller)
    } catch (error) {
      if (error instanceof BodyTooLarge) return failure(400, `invalid request body: ${error.message}`)
      if (!(error instanceof NotApplied)) throw error
      this.#log.error(
        { reason: error.message, path: segments.join('/') },
        'a change of the Admin API was not applied',
      )
      return failure(503, `the change was not applied: ${error.message}`)
    }
  }

  async #dispatch(segments: readonly string[], request: ApiRequest, caller: Caller): Promise<Answer> {
    const { method } = request
    if (segments[0] === 'configs') {
      if (segments.length === 1) return this.#configs.handle(request, caller)
      if (segments[1] === 'validate' && method === 'POST') return this.#configs.validate(request)
    }
    const verb = Object.hasOwn(verbs, method) ? verbs[method] : undefined
    return verb === undefined ? failure(404, '404 Not Found') : this.#resource(verb, segments, request)
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
    const answer = await this.#resources.handle({
      verb,
      target,
      query,
      ...(value !== undefined && { body: value }),
    })
    return { ...answer, headers: { 'X-API-VERSION': 'v3', ...answer.headers } }
  }
}
