/** From a request to its answer: who asks, which operation it is, whether what it brings is right. */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { type Answer, failure } from '../admin/api/answer.ts'
import { answerDashboard } from '../admin/api/api7.ts'
import { parseJsonBody } from '../admin/api/json-body.ts'
import { type ApiRequest, BodyTooLarge, readHead, readWhole } from '../admin/api/request.ts'
import { copy } from '../config/copy.ts'
import { formatPath } from '../config/problem.ts'
import { checkSchema } from '../config/schema.ts'
import type { TSchema } from '../config/type.ts'
import { paths } from '../config-sync/protocol/index.ts'
import type { Principal } from './accounts.ts'
import { Attempts } from './attempts.ts'
import { holderOn } from './client-certificate.ts'
import { type ControlPlane, defaultGroup } from './control-plane.ts'
import { as } from './group-configuration.ts'
import type { Call, Operation } from './operation.ts'
import { operations } from './operations/index.ts'
import { Problem } from './problem.ts'

/** Which port a request came to: gateways with certificates, or everybody else. */
export type Port = 'sync' | 'platform'

interface Route {
  operation: Operation
  segments: string[]
}

const wrongKeys = { most: 20, forgottenAfterMs: 3000 }

export class Router {
  readonly #plane: ControlPlane
  readonly #wrongKeys: Attempts
  readonly #routes = new Map<string, Route[]>()

  constructor(plane: ControlPlane, clock: () => number = Date.now) {
    this.#plane = plane
    this.#wrongKeys = new Attempts(wrongKeys, clock)
    for (const operation of operations) {
      const segments = operation.path.split('/').slice(1)
      const key = keyOf(segments.length, segments[0]!)
      this.#routes.set(key, [...(this.#routes.get(key) ?? []), { operation, segments }])
    }
  }

  async answer(incoming: IncomingMessage, port: Port): Promise<Answer> {
    const head = readHead(incoming)
    const seen: Seen = {}
    const answer = await this.#answer(head, incoming, port, seen).catch((error: unknown) => {
      if (error instanceof Problem) return problemAnswer(error, head)
      if (error instanceof BodyTooLarge) return problemAnswer(new Problem(413, error.message), head)
      throw error
    })
    this.#record(head, seen, answer)
    return answer
  }

  async #answer(head: ApiRequest, incoming: IncomingMessage, port: Port, seen: Seen): Promise<Answer> {
    const { segments } = head
    if (port === 'platform' && segments[0] === 'apisix' && segments[1] === 'admin') {
      return this.#administer(head, incoming, seen)
    }
    const found = this.#find(head)
    if (found === undefined) return this.#dashboard(head, port, seen)
    const { operation, params } = found
    const { access } = operation
    if (port === 'sync' && access !== 'gateway' && access !== 'public') throw notFound()
    const registration =
      port === 'sync' ? holderOn(incoming.socket as TLSSocket, this.#plane.registrations) : undefined
    // What an operation for anybody makes of a token is up to it; one for registration is none of ours.
    const principal = access === 'gateway' ? undefined : this.#principal(head, access === 'public', seen)
    if (access === 'gateway' && registration === undefined) {
      throw new Problem(403, 'no valid certificate of a registration was shown')
    }
    if (access === 'signed-in' && principal === undefined) this.#plane.demand(principal, 'Read Servers')
    else if (access !== 'public' && access !== 'gateway' && access !== 'signed-in') {
      this.#plane.demand(principal, access)
    }
    if (principal?.group !== undefined) refuseOtherGroup(principal, params, operation)
    if (registration !== undefined) seen.who = `gateway ${registration.name}`
    const request = await readWhole(incoming, head)
    const call: Call<unknown, unknown> = {
      plane: this.#plane,
      request,
      incoming,
      params,
      query: queryOf(operation, request),
      body: bodyOf(operation, request),
      principal,
      registration,
      who: seen.who ?? '',
    }
    return operation.run(call)
  }

  /** The Admin API of a group. */
  async #administer(head: ApiRequest, incoming: IncomingMessage, seen: Seen): Promise<Answer> {
    const principal = this.#principal(head, false, seen)
    const isReading = head.method === 'GET' || head.method === 'HEAD'
    this.#plane.demand(principal, isReading ? 'Read Configuration' : 'Manage Configuration')
    const id = head.query.get('gateway_group_id') ?? principal!.group ?? defaultGroup
    if (principal!.group !== undefined && principal!.group !== id) {
      throw new Problem(403, 'this key is for another gateway group')
    }
    const group = this.#plane.groupNamed(id)
    const who = principal!.name
    this.#plane.admit(incoming, { name: who, role: isReading ? 'viewer' : 'admin' })
    const message = `${head.method} /${head.segments.slice(2).join('/')}`
    return as({ author: who, message }, () => group.admin.answer(incoming))
  }

  /** What the Admin API of a gateway answers under `/api` too. */
  async #dashboard(head: ApiRequest, port: Port, seen: Seen): Promise<Answer> {
    const path = head.segments.join('/')
    if (port === 'platform' && path === 'api/openapi.json' && head.method === 'GET') {
      const { controlPlaneOpenApi } = await import('./openapi.ts')
      return { status: 200, body: controlPlaneOpenApi(this.#plane.version) }
    }
    if (port === 'platform' && (path === 'api/version' || path === 'api/schema/core')) {
      this.#plane.demand(this.#principal(head, false, seen), 'Read Configuration')
      return answerDashboard(head.segments.slice(1), head)
    }
    throw notFound()
  }

  #find({
    method,
    segments,
  }: ApiRequest): { operation: Operation; params: Record<string, string> } | undefined {
    const others: string[] = []
    for (const route of this.#routes.get(keyOf(segments.length, segments[0] ?? '')) ?? []) {
      const params = matched(route.segments, segments)
      if (params === undefined) continue
      if (route.operation.method === method) return { operation: route.operation, params }
      others.push(route.operation.method)
    }
    if (others.length > 0) {
      const headers = { Allow: [...new Set(others)].join(', ') }
      throw new Problem(405, `${method} is not supported here`, { headers })
    }
    return undefined
  }

  #principal({ headers, client, query }: ApiRequest, isLenient: boolean, seen: Seen): Principal | undefined {
    const key = headers['x-api-key'] ?? query.get('api_key') ?? undefined
    const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
    if (key === undefined && token === undefined) return undefined
    seen.isTry = true
    const wait = this.#wrongKeys.wait(client)
    if (wait > 0) {
      throw new Problem(429, 'too many wrong keys, try again later', {
        headers: { 'Retry-After': String(wait) },
      })
    }
    const { accounts } = this.#plane
    const principal =
      typeof key === 'string'
        ? accounts.principalOfKey(key)
        : token?.startsWith('a7adm-')
          ? accounts.principalOfKey(token)
          : token && accounts.principalOfToken(token)
    if (principal) {
      seen.who = principal.name
      return principal
    }
    if (isLenient) return undefined
    this.#wrongKeys.add(client)
    throw new Problem(401, 'the key or access token is wrong, or its time is over', {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  }

  /** Everything that would change something; not what gateways do all day. */
  #record({ client, method, segments }: ApiRequest, { who, isTry = false }: Seen, { status }: Answer): void {
    const path = `/${segments.join('/')}`
    if (method === 'GET' || method === 'HEAD' || status === 429) return
    if (reports.has(path)) return
    const isWrongLogin = status === 401 && logins.has(path)
    // Anybody could fill the disk with requests that nothing comes of.
    if (who === undefined && !isTry && (status < 200 || status > 299) && !isWrongLogin) return
    this.#plane.audit.write({ who, address: client, method, path, status })
  }
}

/** Of gateways, all day long. */
const reports: ReadonlySet<string> = new Set([
  paths.heartbeat,
  paths.acknowledgements,
  paths.metrics,
  paths.healthcheck,
  paths.logs,
])

/** Where credentials stand in the body; how often they may be wrong is limited. */
const logins: ReadonlySet<string> = new Set([paths.login, paths.token])

interface Seen {
  who?: string
  /** Something was shown to prove who asks; how often that goes wrong is limited. */
  isTry?: boolean
}

const keyOf = (length: number, first: string) => `${length} ${first}`

const notFound = () => new Problem(404, 'there is nothing here')

function matched(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const params: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index]!
    if (part.startsWith('{')) params[part.slice(1, -1)] = segment
    else if (part !== segment) return undefined
  }
  return params
}

function refuseOtherGroup(
  principal: Principal,
  params: Readonly<Record<string, string>>,
  { path }: Operation,
): void {
  if (path.startsWith('/api/gateway_groups/{group}') && params.group !== principal.group) {
    throw new Problem(403, 'this key is for another gateway group')
  }
}

/** Text of the query, as what its schema says. */
function queryOf({ query: schema }: Operation, { query }: ApiRequest): unknown {
  if (schema === undefined) return {}
  const { properties = {} } = schema as unknown as { properties?: Record<string, TSchema> }
  const value: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(properties)) {
    const { type } = property as { type?: string }
    const texts = query.getAll(type === 'array' ? `${name}[]` : name)
    if (texts.length === 0) continue
    const text = texts.at(-1)!
    if (type === 'array') value[name] = texts
    else if (type === 'integer') value[name] = /^-?\d{1,15}$/.test(text) ? Number(text) : text
    else if (type === 'boolean')
      value[name] = text === 'true' || text === '' ? true : text === 'false' ? false : text
    else value[name] = text
  }
  return checked(schema, value, 'the query')
}

function bodyOf({ body: schema, bodyIsOptional = false }: Operation, { body }: ApiRequest): unknown {
  if (schema === undefined) return undefined
  if (body === undefined) {
    if (bodyIsOptional) return undefined
    throw new Problem(400, 'the request has no body')
  }
  let value: unknown
  try {
    value = parseJsonBody(body)
  } catch (error) {
    throw new Problem(400, `the body is no JSON: ${(error as Error).message}`)
  }
  return checked(schema, value, 'the body')
}

/** With the schema's defaults. @throws Problem 400 */
function checked(schema: TSchema, given: unknown, what: string): unknown {
  const value = copy(given)
  const [problem] = checkSchema(schema, value)
  if (problem === undefined) return value
  throw new Problem(400, `${formatPath(problem.path) || what}: ${problem.message}`)
}

/** In the shape of whoever's paths these are. */
function problemAnswer({ status, message, headers, more }: Problem, { segments }: ApiRequest): Answer {
  const isApi7 = segments[0] === 'apisix' || (segments[0] === 'api' && segments[1] !== 'dataplane')
  if (isApi7) return { ...failure(status, message), body: { error_msg: message, ...more }, headers }
  return { status, body: { status, message, ...more }, headers }
}
