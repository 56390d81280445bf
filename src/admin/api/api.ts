/** The Admin API: from a request to its answer. */
import type { IncomingMessage } from 'node:http'
import type { ZonePlaces } from '../../config/cache-zones.ts'
import type { Catalogue } from '../../config/policy-check.ts'
import type { AdminSettings } from '../../config/settings.ts'
import type { Log } from '../../telemetry/log.ts'
import { type LiveConfiguration, NotApplied } from '../live-configuration.ts'
import { Admission } from './admission.ts'
import { type Answer, failure } from './answer.ts'
import { answerDashboard, api7Answer, keptBody, refuseGroup, speaksApi7, unpagedQuery } from './api7.ts'
import { AuditLog } from './audit.ts'
import { ConfigsHandler } from './configs.ts'
import { crossOriginFields, preflightAnswer } from './cross-origin.ts'
import { Expiry } from './expiry.ts'
import { parseJsonBody } from './json-body.ts'
import type { Caller } from './keys.ts'
import type { Verb } from './kinds.ts'
import { PolicySchemas } from './policy-schemas.ts'
import { type ApiRequest, BodyTooLarge, readHead, readWhole } from './request.ts'
import { ResourceCheck } from './resource-check.ts'
import { ResourceHandler } from './resources.ts'
import { readTarget, type Target } from './target.ts'
import { unchosenQuery, v2Answer } from './v2.ts'

export interface AdminApiOptions {
  settings: AdminSettings
  live: LiveConfiguration
  catalogue: Catalogue
  /** Where the gateway stores answers. */
  zones: ZonePlaces
  /** What is said besides of a policy that is not in the catalogue. */
  ofUnknownPolicies?: string
  log: Log
  /** Of the gateway. */
  version: string
  /** Epoch milliseconds. */
  now?: () => number
  /** Id of the gateway group whose configuration this is. Default: `default`, which is the gateway itself. */
  group?: string
  /** Who may ask. Default: whoever has a key of the settings. */
  admission?: Pick<Admission, 'refuseAddress' | 'admit'>
  /** Default: the log of the settings. */
  audit?: Pick<AuditLog, 'write' | 'reopen' | 'close'>
}

const verbs: Readonly<Record<string, Verb>> = {
  GET: 'get',
  PUT: 'put',
  POST: 'post',
  PATCH: 'patch',
  DELETE: 'delete',
}

export class AdminApi {
  readonly #admission: Pick<Admission, 'refuseAddress' | 'admit'>
  readonly #group: string
  readonly #crossOrigin: boolean
  readonly #version: AdminSettings['api_version']
  readonly #audit: Pick<AuditLog, 'write' | 'reopen' | 'close'>
  readonly #resources: ResourceHandler
  readonly #configs: ConfigsHandler
  readonly #policies: PolicySchemas
  readonly #expiry: Expiry
  readonly #log: Log

  constructor(options: AdminApiOptions) {
    const { settings, live, catalogue, zones, log, version, now = Date.now, group = 'default' } = options
    this.#admission = options.admission ?? new Admission(settings, now)
    this.#group = group
    this.#crossOrigin = settings.cors
    this.#version = settings.api_version
    this.#audit = options.audit ?? new AuditLog(settings.audit_log, log)
    this.#log = log
    this.#expiry = new Expiry(live, log, now)
    const ofUnknown = options.ofUnknownPolicies
    const check = new ResourceCheck({ catalogue, zones, ...(ofUnknown !== undefined && { ofUnknown }) })
    const seconds = () => Math.floor(now() / 1000)
    this.#resources = new ResourceHandler(live, check, this.#expiry, seconds)
    this.#configs = new ConfigsHandler(live, check, catalogue, seconds)
    this.#policies = new PolicySchemas(catalogue, version)
  }

  async reopenLogs(): Promise<void> {
    await this.#audit.reopen()
  }

  async close(): Promise<void> {
    this.#expiry.close()
    await this.#audit.close()
  }

  async answer(incoming: IncomingMessage): Promise<Answer> {
    const answer = await this.#answer(incoming)
    return this.#crossOrigin ? { ...answer, headers: { ...crossOriginFields, ...answer.headers } } : answer
  }

  async #answer(incoming: IncomingMessage): Promise<Answer> {
    const head = readHead(incoming)
    const [root, admin, ...segments] = head.segments
    const isDashboard = root === 'api'
    if (!isDashboard && (root !== 'apisix' || admin !== 'admin')) return notFound
    const refused = this.#admission.refuseAddress(head)
    if (refused !== undefined) return refused
    if (head.method === 'OPTIONS' && this.#crossOrigin) return preflightAnswer
    if (head.method === 'HEAD' && segments.length === 0) return { status: 200 }
    const admitted = this.#admission.admit(head, incoming)
    const answer =
      'answer' in admitted
        ? admitted.answer
        : isDashboard
          ? answerDashboard(head.segments.slice(1), head)
          : await this.#admitted(segments, head, incoming, admitted.caller)
    if (head.method !== 'GET' && head.method !== 'HEAD') {
      const caller = 'caller' in admitted ? admitted.caller.name : undefined
      const { client, method } = head
      this.#audit.write({ caller, client, method, path: segments.join('/'), status: answer.status })
    }
    return answer
  }

  async #admitted(
    segments: readonly string[],
    head: ApiRequest,
    incoming: IncomingMessage,
    caller: Caller,
  ): Promise<Answer> {
    try {
      const answer = await this.#dispatch(segments, await readWhole(incoming, head), caller)
      return { ...answer, headers: { 'X-API-VERSION': this.#version, ...answer.headers } }
    } catch (error) {
      if (error instanceof BodyTooLarge) return failure(400, `invalid request body: ${error.message}`)
      if (error instanceof InvalidBody) return error.answer
      if (!(error instanceof NotApplied)) throw error
      this.#log.error(
        { reason: error.message, path: segments.join('/') },
        'a change of the Admin API was not applied',
      )
      return failure(503, `the change was not applied: ${error.message}`)
    }
  }

  async #dispatch(segments: readonly string[], request: ApiRequest, caller: Caller): Promise<Answer> {
    const { method, query } = request
    const [first, second, third] = segments
    switch (first) {
      case 'configs':
        if (segments.length === 1) return this.#configs.handle(request, caller)
        if (second === 'validate' && method === 'POST') return this.#configs.validate(request)
        return notFound
      case 'plugins':
        if (second === 'reload') return reloaded(method)
        if (method !== 'GET') return failure(404, 'not found')
        if (second === 'list') return this.#policies.list(query.get('subsystem') ?? 'http')
        return this.#policies.policy(second, query)
      case 'schema':
        if (second === 'validate' && method === 'POST')
          return this.#policies.validate(third ?? '', jsonOf(request))
        if (method !== 'GET') return failure(404, 'not found')
        return second === 'plugins'
          ? this.#policies.policy(third, query)
          : this.#policies.schema(second ?? '')
      case 'openapi.json':
        return method === 'GET' && segments.length === 1 ? this.#policies.openApi() : notFound
      default:
        return this.#resource(segments, request)
    }
  }

  async #resource(segments: readonly string[], request: ApiRequest): Promise<Answer> {
    const verb = Object.hasOwn(verbs, request.method) ? verbs[request.method] : undefined
    if (verb === undefined) return notFound
    const target = readTarget(segments)
    if (target === undefined) return failure(404, `Unsupported resource type: ${segments[0] ?? ''}`)
    const ttl = request.query.get('ttl')
    if (ttl !== null && !(Number(ttl) > 0)) return failure(400, 'invalid argument ttl: should be a number')
    const body = jsonOf(request)
    if (speaksApi7(request)) return this.#api7(verb, target, request, body)
    const given = body !== undefined && { body }
    if (this.#version === 'v3')
      return this.#resources.handle({ verb, target, query: request.query, ...given })
    const answer = await this.#resources.handle({
      verb,
      target,
      query: unchosenQuery(request.query),
      ...given,
    })
    return v2Answer(verb, target, answer)
  }

  async #api7(verb: Verb, target: Target, request: ApiRequest, body: unknown): Promise<Answer> {
    const refused = refuseGroup(request, this.#group)
    if (refused !== undefined) return refused
    const kept = keptBody(target, body)
    if ('problem' in kept) return failure(400, kept.problem)
    const { query } = request
    const answer = await this.#resources.handle({
      verb,
      target,
      query: unpagedQuery(query),
      cascade: true,
      ...(kept.body !== undefined && { body: kept.body }),
    })
    return api7Answer(verb, target, query, answer)
  }
}

const notFound = failure(404, '404 Not Found')

/** The policies are part of the program: there is nothing to read anew. */
function reloaded(method: string): Answer {
  if (method === 'PUT') return { status: 200, body: 'done' }
  return failure(405, `please use PUT method to reload the plugins, ${method} method is not allowed.`)
}

class InvalidBody extends Error {
  readonly answer: Answer

  constructor(answer: Answer) {
    super('the body is not JSON')
    this.answer = answer
  }
}

/** Undefined: there is no body. */
function jsonOf({ body }: ApiRequest): unknown {
  if (body === undefined) return undefined
  try {
    return parseJsonBody(body)
  } catch (error) {
    const message = `invalid request body: ${(error as Error).message}`
    throw new InvalidBody({ status: 400, body: { error_msg: message, req_body: body } })
  }
}
