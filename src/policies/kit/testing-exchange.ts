import { randomUUID } from 'node:crypto'
import type {
  BindingInfo,
  BodyFilter,
  ClientInfo,
  Consumer,
  Exchange,
  ExchangeRequest,
  ExchangeResponse,
  HeaderBlock,
  HeaderEdits,
  HeaderName,
  HeaderView,
  Outcome,
  RequestHeaders,
  Timings,
  UpstreamHandle,
  UpstreamInfo,
  Verdict,
} from '../../proxy/exchange.ts'
import { InvalidTargetError, isForwardablePath } from '../../proxy/forwarded-target.ts'
import { headerBlock, headerName } from '../../proxy/headers.ts'
import type { Timeline } from '../../proxy/timeline.ts'

/** A request as a test writes it down; everything has a default. */
export interface FakeRequest {
  method?: string
  /** Path and query. Default `/`. */
  target?: string
  host?: string
  headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[]
  body?: string
  /** Address of the client. Default 203.0.113.7. */
  address?: string
  /** It came out of another request of this client. */
  isSubrequest?: boolean
  /** Who an earlier policy said is calling. */
  consumer?: string
  /** The labels of that consumer. */
  labels?: Record<string, string>
  /** Id of its group. */
  group?: string
  /** What an earlier policy learned of a user who is no consumer. */
  externalUser?: Record<string, unknown>
}

/** What the upstream answers, or how it failed to. */
export interface FakeResponse {
  /** Default 200. */
  status?: number
  headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[]
  body?: string
  /** Names in lower case. */
  trailers?: Readonly<Record<string, string>>
  /** `host:port`. Default 192.0.2.1:8080. */
  upstream?: string
  /** Milliseconds from the first byte of the request to the last of the answer, and the upstream's share. */
  duration?: number
  upstreamDuration?: number
  outcome?: Outcome
  /** The gateway answered by itself with this code; the status is then the gateway's. */
  errorCode?: string
  /** No endpoint was tried. */
  notProxied?: boolean
}

/** A request as it goes to the upstream. Header names in lower case. */
export interface UpstreamCopy {
  method: string
  host: string
  target: string
  headers: Record<string, string>
  /** One character a byte. */
  body: string
}

type Field = readonly [name: string, value: string]

/** An `Exchange` over plain lists. Only tests use it. */
export class FakeExchange implements Exchange {
  id: string = randomUUID()
  readonly request: ExchangeRequest
  readonly answer = new FakeEdits()
  client: ClientInfo
  readonly binding: BindingInfo
  readonly timings: Timings
  consumer: Consumer | null = null
  credentialId = ''
  externalUser: Readonly<Record<string, unknown>> | null = null
  upstream: UpstreamInfo | null = null
  outcome: Outcome = 'pending'
  rejectedBy = ''
  errorCode = ''
  filterDecisions = null
  skippedPolicies: string[] | null = null
  readonly subrequest = null
  told: Record<string, string> | null = null
  logged: Record<string, unknown> | null = null
  timeline: Timeline | null = null
  /** The upstream that the policy chose; null: that of the route. */
  sentTo: UpstreamHandle | null = null
  readonly #request: FakeRequestView
  readonly #planned: FakeResponse
  /** What a policy wants to be held of the answer. */
  readonly #hold = { limit: 0 }
  #response = new FakeResponseView(0, false, [], this.#hold)
  #body = ''

  constructor(binding: BindingInfo, request: FakeRequest, response: FakeResponse, now: number) {
    this.binding = binding
    this.#request = new FakeRequestView(request)
    this.request = this.#request
    this.#planned = response
    const address = request.address ?? '203.0.113.7'
    this.client = {
      address,
      port: 50_000,
      peerAddress: address,
      peerPort: 50_000,
      localAddress: '192.0.2.10',
      localPort: 9080,
      scheme: 'http',
      listener: 'http',
      tls: null,
      isSubrequest: request.isSubrequest ?? false,
    }
    const duration = response.duration ?? 5
    const upstreamStart = response.notProxied ? 0 : 1000 + duration - (response.upstreamDuration ?? duration)
    this.timings = {
      startedAt: now,
      start: 1000,
      upstreamStart,
      upstreamHead: upstreamStart,
      end: 1000 + duration,
    }
    this.externalUser = request.externalUser ?? null
    if (request.consumer !== undefined) {
      const { labels, group } = request
      const spec = {
        username: request.consumer,
        credentials: [],
        ...(labels && { labels }),
        ...(group !== undefined && { group_id: group }),
      }
      this.identify({ username: request.consumer, customId: undefined, spec }, '')
    }
  }

  get response(): ExchangeResponse {
    return this.#response
  }

  sendTo(upstream: UpstreamHandle | null): void {
    this.sentTo = upstream
  }

  setId(id: string): void {
    this.id = id
  }

  setClientAddress(address: string, port = 0): void {
    this.client = { ...this.client, address, port }
  }

  identify(consumer: Consumer, credentialId: string): void {
    this.consumer = consumer
    this.credentialId = credentialId
    const { headers } = this.#request
    headers.set('X-Consumer-Username', consumer.username)
    replaceOrRemove(headers, 'X-Credential-Identifier', credentialId)
    replaceOrRemove(headers, 'X-Consumer-Custom-ID', consumer.customId ?? '')
  }

  requestChunks(): Buffer[] {
    const { body } = this.#request
    return body === '' ? [] : [Buffer.from(body)]
  }

  reject(verdict: Verdict): void {
    this.rejectedBy = 'policy'
    const { body = '', headers } = verdict
    this.#body = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
    this.#response = new FakeResponseView(verdict.status, false, [], this.#hold)
    if (headers) this.answer.setBlock(headers)
  }

  receiveUpstream(): void {
    const { status = 200, headers = [], body = '', upstream = '192.0.2.1:8080', errorCode } = this.#planned
    const [host = '', port = '0'] = upstream.split(':')
    if (!this.#planned.notProxied) {
      const upstreamStatus = errorCode === undefined ? status : 0
      this.upstream = {
        address: upstream,
        host,
        port: Number(port),
        ip: host,
        attempts: 1,
        status: upstreamStatus,
        addresses: upstream,
        statuses: String(upstreamStatus),
      }
    }
    this.errorCode = errorCode ?? ''
    this.#body = body
    const { trailers } = this.#planned
    const fromUpstream = errorCode === undefined && !this.#planned.notProxied
    this.#response = new FakeResponseView(status, fromUpstream, fieldsOf(headers), this.#hold, body, trailers)
  }

  /** The whole body in one piece. */
  async filterBody(filter: BodyFilter): Promise<void> {
    const pieces: (Buffer | undefined)[] = []
    if (this.#body !== '') pieces.push(await filter.write(Buffer.from(this.#body)))
    pieces.push(await filter.end?.())
    this.#body = Buffer.concat(pieces.filter((piece) => piece !== undefined)).toString()
  }

  get responseBody(): Buffer {
    return Buffer.from(this.#body)
  }

  finish(): void {
    this.outcome = this.#planned.outcome ?? 'complete'
    this.#response.bodyBytes = Buffer.byteLength(this.#body)
  }

  clientAnswer(): { status: number; headers: Record<string, string>; body: string } {
    const fields = this.answer.applyTo(this.#response.headers.fields)
    return { status: this.#response.status, headers: recordOf(fields), body: this.#body }
  }

  upstreamCopy(): UpstreamCopy {
    const { path, newPath, query, method, newMethod, host, newHost } = this.#request
    const forwarded = newPath === '' ? path : newPath
    return {
      method: newMethod === '' ? method : newMethod,
      host: newHost === '' ? host : newHost,
      target: query === '' ? forwarded : `${forwarded}?${query}`,
      headers: recordOf(this.#request.headers.fields),
      body: this.#request.newBody ?? Buffer.from(this.#request.body).toString('latin1'),
    }
  }

  /** The variables that policies' tests ask for. */
  variable(name: string): string | undefined {
    const { request } = this
    if (name.startsWith('http_')) return request.headers.get(name.slice(5).replaceAll('_', '-'))
    switch (name) {
      case 'remote_addr':
        return this.client.address
      case 'request_method':
        return request.method
      case 'uri':
        return request.path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        )
      case 'request_uri':
        return request.target
      case 'host':
        return request.host
      case 'status':
        return String(this.response.status)
      case 'consumer_name':
        return this.consumer?.username
      default:
        return undefined
    }
  }
}

class FakeRequestView implements ExchangeRequest {
  readonly method: string
  target: string
  readonly path: string
  query: string
  readonly host: string
  readonly version = '1.1'
  readonly headers: FakeFields
  readonly contentLength: number
  readonly bodyBytes: number
  readonly headBytes = 0
  readonly body: string
  newPath = ''
  newMethod = ''
  newHost = ''
  newBody: string | undefined
  concealedBody: string | null = null

  get forwardedPath(): string {
    return this.newPath === '' ? this.path : this.newPath
  }

  get rewritten(): string {
    return `${this.newMethod}${this.newHost}${this.newPath}`
  }

  constructor(request: FakeRequest) {
    this.method = request.method ?? 'GET'
    this.target = request.target ?? '/'
    const mark = this.target.indexOf('?')
    this.path = mark === -1 ? this.target : this.target.slice(0, mark)
    this.query = mark === -1 ? '' : this.target.slice(mark + 1)
    this.host = request.host ?? 'api.example'
    this.headers = new FakeFields(fieldsOf(request.headers ?? []))
    this.body = request.body ?? ''
    const declared = this.headers.get('content-length')
    this.bodyBytes = Buffer.byteLength(this.body)
    this.contentLength = this.headers.has('transfer-encoding') ? -1 : Number(declared ?? this.bodyBytes)
  }

  setQuery(query: string): void {
    this.query = query
  }

  async readBody(limit: number): Promise<string | null> {
    return this.heldBody(limit)
  }

  setBody(body: string): void {
    this.newBody = body
  }

  conceal(query: string | null, body: string | null): void {
    if (query !== null) {
      this.query = query
      this.target = query === '' ? this.path : `${this.path}?${query}`
    }
    this.concealedBody = body ?? this.concealedBody
  }

  heldBody(limit: number): string | null {
    return this.bodyBytes > limit ? null : Buffer.from(this.body).toString('latin1')
  }

  setPath(path: string): void {
    if (!isForwardablePath(path)) throw new InvalidTargetError('the new path cannot stand in a request line')
    this.newPath = path
  }

  setMethod(method: string): void {
    this.newMethod = method
  }

  setHost(host: string): void {
    this.newHost = host
  }
}

class FakeResponseView implements ExchangeResponse {
  status: number
  readonly fromUpstream: boolean
  readonly headers: FakeFields
  readonly headBytes = 0
  bodyBytes = 0
  readonly #trailers: Readonly<Record<string, string>>
  readonly #body: Buffer
  readonly #hold: { limit: number }

  constructor(
    status: number,
    fromUpstream: boolean,
    fields: readonly Field[],
    hold: { limit: number },
    body = '',
    trailers: Readonly<Record<string, string>> = {},
  ) {
    this.#hold = hold
    this.#body = Buffer.from(body)
    this.#trailers = trailers
    this.status = status
    this.fromUpstream = fromUpstream
    this.headers = new FakeFields(fields)
  }

  sent(name: string): string | undefined {
    return this.headers.getAll(name)
  }

  forEachSent(visit: (name: string, value: string) => void): void {
    this.headers.forEach(visit)
  }

  trailer(name: string): string | undefined {
    return this.#trailers[name]
  }

  forEachTrailer(visit: (name: string, value: string) => void): void {
    for (const [name, value] of Object.entries(this.#trailers)) visit(name, value)
  }

  heldBody(): Buffer | null {
    return this.fromUpstream && this.#body.length <= this.#hold.limit ? this.#body : null
  }

  hold(limit: number): void {
    this.#hold.limit = limit
  }

  setStatus(status: number): void {
    this.status = status
  }
}

/** Fields that can be read and changed. */
class FakeFields implements RequestHeaders {
  fields: Field[]
  readonly #sent: readonly Field[]

  constructor(fields: readonly Field[]) {
    this.fields = [...fields]
    this.#sent = fields
  }

  get(name: string): string | undefined {
    return this.fields.find(([known]) => known.toLowerCase() === name)?.[1].trim()
  }

  sent(name: string): string | undefined {
    return this.#sent.find(([known]) => known.toLowerCase() === name)?.[1].trim()
  }

  getAll(name: string): string | undefined {
    const values = this.fields.filter(([known]) => known.toLowerCase() === name)
    return values.length === 0 ? undefined : values.map(([, value]) => value.trim()).join(', ')
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  forEach(visit: (name: string, value: string) => void): void {
    for (const [name, value] of this.fields) visit(name, value)
  }

  set(name: HeaderName | string, value: string | number): void {
    this.remove(name)
    this.add(name, value)
  }

  add(name: HeaderName | string, value: string | number): void {
    // Made only to refuse what the engine refuses.
    headerBlock([[textOf(name), String(value)]])
    this.fields.push([textOf(name), String(value)])
  }

  remove(name: HeaderName | string): void {
    const { lower } = headerName(textOf(name))
    this.fields = this.fields.filter(([known]) => known.toLowerCase() !== lower)
  }

  setBlock(block: HeaderBlock): void {
    for (const name of block.names) this.remove(name)
    for (const line of block.text.split('\r\n').slice(0, -1)) {
      const colon = line.indexOf(':')
      this.fields.push([line.slice(0, colon), line.slice(colon + 2)])
    }
  }
}

/** Edits that are kept until there is a head to apply them to. */
class FakeEdits implements HeaderEdits {
  readonly #edits: ((fields: FakeFields) => void)[] = []

  set(name: HeaderName | string, value: string | number): void {
    this.#edits.push((fields) => fields.set(name, value))
  }

  add(name: HeaderName | string, value: string | number): void {
    this.#edits.push((fields) => fields.add(name, value))
  }

  remove(name: HeaderName | string): void {
    this.#edits.push((fields) => fields.remove(name))
  }

  setBlock(block: HeaderBlock): void {
    this.#edits.push((fields) => fields.setBlock(block))
  }

  applyTo(fields: readonly Field[]): readonly Field[] {
    const result = new FakeFields(fields)
    for (const edit of this.#edits) edit(result)
    return result.fields
  }
}

function textOf(name: HeaderName | string): string {
  return typeof name === 'string' ? name : name.text
}

function replaceOrRemove(headers: HeaderEdits & HeaderView, name: string, value: string): void {
  if (value === '') headers.remove(name)
  else headers.set(name, value)
}

function fieldsOf(headers: NonNullable<FakeRequest['headers']>): readonly Field[] {
  return Array.isArray(headers) ? headers : Object.entries(headers)
}

/** Repeated fields joined as RFC 9110 5.3 allows. */
function recordOf(fields: readonly Field[]): Record<string, string> {
  const record: Record<string, string> = {}
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    record[lower] = record[lower] === undefined ? value : `${record[lower]}, ${value}`
  }
  return record
}
