/** One request of a client and its answer, whatever HTTP they travel in: their facts, for policies and for the engine. */
import { randomUUID } from 'node:crypto'
import type {
  ClientInfo,
  Consumer,
  Exchange,
  ExchangeRequest,
  ExchangeResponse,
  HeaderBlock,
  HeaderView,
  Outcome,
  Timings,
  UpstreamHandle,
  UpstreamInfo,
} from './exchange.ts'
import type { FilterDecision } from './filter.ts'
import { InvalidTargetError, isForwardablePath } from './forwarded-target.ts'
import { checkedValue, headerBlock, headerName } from './headers.ts'
import { HeldBody } from './held-body.ts'
import { type Head, isKnownMethod } from './http1/head.ts'
import { HeaderEdits } from './http1/header-edits.ts'
import { HeadFields, noFields, RequestFields } from './http1/header-view.ts'
import type { Binding } from './runtime.ts'
import { type Target, withoutPrefix } from './target.ts'
import type { Timeline } from './timeline.ts'

const { timeOrigin } = performance

/** A UUID of version 8 (RFC 9562 5.8): random for the thread, counted within it. An id is no secret, only unique. */
const random = randomUUID()
const idPrefix = `${random.slice(0, 14)}8${random.slice(15, 19)}8${random.slice(20, 24)}`
let idCount = 0

function nextId(): string {
  idCount++
  return idPrefix + idCount.toString(16).padStart(12, '0')
}

const hostName = headerName('Host')

/** What the upstream is told of a consumer, made once for each of its credentials. */
const identities = new WeakMap<Consumer, Map<string, HeaderBlock>>()

function identityOf(consumer: Consumer, credentialId: string): HeaderBlock {
  let blocks = identities.get(consumer)
  if (blocks === undefined) {
    blocks = new Map()
    identities.set(consumer, blocks)
  }
  let block = blocks.get(credentialId)
  if (block === undefined) {
    const fields: [string, string][] = [['X-Consumer-Username', consumer.username]]
    if (credentialId !== '') fields.push(['X-Credential-Identifier', credentialId])
    if (consumer.customId !== undefined) fields.push(['X-Consumer-Custom-ID', consumer.customId])
    block = headerBlock(fields)
    blocks.set(credentialId, block)
  }
  return block
}

/** Where the body comes from. */
export interface BodySource {
  /** Resolves with the whole body, or with null when it is larger than wanted; never, when the client goes away. */
  holdFor(held: HeldBody): Promise<string | null>
  /** Counts bytes that are held for the request until it ends. @returns false when the thread holds too much */
  holds(bytes: number): boolean
}

export class HttpExchange implements Exchange, ExchangeRequest, Timings {
  client: ClientInfo
  readonly head: Head
  readonly method: string
  target: string
  readonly contentLength: number
  readonly version: string
  path = ''
  query = ''
  host = ''
  /** What the request line to the upstream says. */
  forwardTarget = ''
  /** A policy replaced the query. */
  queryChanged = false
  /** What policies put in place of the client's path, method and host for the upstream; empty: they did not. */
  newPath = ''
  newMethod = ''
  newHost = ''
  /** The upstream that a policy chose, by its key; empty: none did. */
  chosenUpstream = ''
  /** What takes the place of the body; null: nothing does. */
  newBody: string | null = null
  concealedBody: string | null = null
  /** The authority of an absolute-form target, which replaces the Host field; else empty. */
  authority = ''
  /** The client asked for a WebSocket and its route allows one. */
  upgrade = false
  /** X-Real-IP and X-Forwarded-* for the upstream, once made. */
  forwardedLines = ''

  binding: Binding | null = null
  consumer: Consumer | null = null
  credentialId = ''
  externalUser: Readonly<Record<string, unknown>> | null = null
  upstream: UpstreamInfo | null = null
  outcome: Outcome = 'pending'
  rejectedBy = ''
  errorCode = ''
  filterDecisions: FilterDecision[] | null = null
  skippedPolicies: string[] | null = null
  subrequest: { abort(): void } | null = null
  told: Record<string, string> | null = null
  logged: Record<string, unknown> | null = null
  timeline: Timeline | null = null

  start: number
  upstreamStart = 0
  upstreamHead = 0
  end = 0

  status = 0
  fromUpstream = false
  requestBodyBytes = 0
  responseBodyBytes = 0
  responseHeadBytes = 0
  readonly headBytes: number
  requestFields: RequestFields | null = null
  /** The head that the client got, with whatever was written together with it; empty until then. */
  sentHead = ''
  /** The upstream's head, while it may be looked at. */
  answerHead: Head | null = null
  /** Behind the upstream's body, once that is complete. */
  answerTrailers: Head | null = null
  /** Bytes of the answer for which its head waits. */
  answerHold = 0
  /** The body for which the head waited, where it is whole. */
  heldAnswer: readonly Buffer[] | null = null
  edits: HeaderEdits | null = null
  /** Null until a condition asks for the body. */
  held: HeldBody | null = null
  private responseView: ResponseView | null = null
  private uuid = ''
  private viewsClosed = false

  readonly source: BodySource | null

  constructor(
    client: ClientInfo,
    head: Head,
    target: Target,
    start: number,
    source: BodySource | null = null,
    version = head.minor === 1 ? '1.1' : '1.0',
  ) {
    this.client = client
    this.source = source
    this.head = head
    this.method = head.method
    this.target = head.target
    this.version = version
    this.contentLength = head.chunked ? -1 : Math.max(0, head.contentLength)
    this.path = target.path
    this.query = target.query
    this.headBytes = head.text.length
    this.start = start
  }

  setQuery(query: string): void {
    this.query = query
    this.queryChanged = true
  }

  readBody(limit: number): Promise<string | null> {
    if (this.newBody !== null) return Promise.resolve(this.newBody.length <= limit ? this.newBody : null)
    if (this.contentLength === 0) return Promise.resolve('')
    this.held ??= new HeldBody(this.contentLength)
    const text = this.held.ask(limit)
    if (text !== null || this.held.wanted === 0) return Promise.resolve(text)
    return this.source === null ? Promise.resolve(null) : this.source.holdFor(this.held)
  }

  setBody(body: string): void {
    if (this.contentLength !== 0 && this.held?.text == null) throw new Error('the body was not read yet')
    this.newBody = body
  }

  /** The upstream's copy is chunked. */
  get forwardsChunks(): boolean {
    return this.newBody === null && this.head.chunked
  }

  /** Body bytes of the upstream's copy, as it announces them; -1 when it does not. */
  get forwardedLength(): number {
    return this.newBody === null ? this.head.contentLength : this.newBody.length
  }

  heldBody(limit: number): string | null {
    if (this.newBody !== null) return this.newBody.length <= limit ? this.newBody : null
    if (this.contentLength === 0) return ''
    this.held ??= new HeldBody(this.contentLength)
    return this.held.ask(limit)
  }

  conceal(query: string | null, body: string | null): void {
    if (query !== null) {
      this.query = query
      const mark = this.target.indexOf('?')
      const path = mark === -1 ? this.target : this.target.slice(0, mark)
      this.target = query === '' ? path : `${path}?${query}`
    }
    if (body !== null) {
      this.concealedBody = body
      this.newBody = body
    }
  }

  setPath(path: string): void {
    if (!isForwardablePath(path)) throw new InvalidTargetError('the new path cannot stand in a request line')
    this.newPath = path
  }

  setMethod(method: string): void {
    if (!isKnownMethod(method)) throw new InvalidTargetError('the new method is not known')
    this.newMethod = method
  }

  setHost(host: string): void {
    checkedValue(hostName, host)
    this.newHost = host
  }

  sendTo(upstream: UpstreamHandle | null): void {
    this.chosenUpstream = upstream === null ? '' : upstream.key
  }

  get forwardedPath(): string {
    if (this.newPath !== '') return this.newPath
    const prefix = this.binding?.stripPrefix ?? ''
    return prefix === '' ? this.path : (withoutPrefix(this.path, prefix) ?? this.path)
  }

  get rewritten(): string {
    const { newMethod, newHost, newPath, chosenUpstream } = this
    if (newPath === '' && newMethod === '' && newHost === '' && chosenUpstream === '' && !this.queryChanged)
      return ''
    return `${newMethod} ${newHost} ${newPath} ${chosenUpstream} ${this.queryChanged ? this.query : ''}`
  }

  /** The method of the upstream's copy. */
  get upstreamMethod(): string {
    return this.newMethod === '' ? this.method : this.newMethod
  }

  get id(): string {
    if (this.uuid === '') this.uuid = nextId()
    return this.uuid
  }

  setId(id: string): void {
    this.uuid = id
  }

  setClientAddress(address: string, port = 0): void {
    this.client = Object.assign(Object.create(Object.getPrototypeOf(this.client)), this.client, {
      address,
      port,
    })
  }

  get request(): ExchangeRequest {
    return this
  }

  get headers(): RequestFields {
    this.requestFields ??= new RequestFields(this.viewsClosed ? null : this.head)
    return this.requestFields
  }

  get bodyBytes(): number {
    return this.requestBodyBytes
  }

  get response(): ExchangeResponse {
    this.responseView ??= new ResponseView(this)
    return this.responseView
  }

  get answer(): HeaderEdits {
    this.edits ??= new HeaderEdits()
    return this.edits
  }

  get timings(): Timings {
    return this
  }

  get startedAt(): number {
    return timeOrigin + this.start
  }

  identify(consumer: Consumer, credentialId: string): void {
    this.consumer = consumer
    this.credentialId = credentialId
    this.headers.setBlock(identityOf(consumer, credentialId))
  }

  /** Heads behind the views are filled again for the next message: whoever kept a view finds it empty. */
  closeViews(): void {
    this.viewsClosed = true
    this.requestFields?.close()
    this.answerHead = null
    this.answerTrailers = null
    this.heldAnswer = null
  }
}

class ResponseView implements ExchangeResponse {
  private readonly exchange: HttpExchange

  constructor(exchange: HttpExchange) {
    this.exchange = exchange
  }

  get status(): number {
    return this.exchange.status
  }

  get fromUpstream(): boolean {
    return this.exchange.fromUpstream
  }

  get headers(): HeaderView {
    const { answerHead } = this.exchange
    return answerHead === null ? noFields : new HeadFields(answerHead)
  }

  get bodyBytes(): number {
    return this.exchange.responseBodyBytes
  }

  get headBytes(): number {
    return this.exchange.responseHeadBytes
  }

  sent(name: string): string | undefined {
    const { edits } = this.exchange
    const passed = edits?.replaces(name) ? undefined : this.headers.getAll(name)
    const own = edits?.values(name) ?? []
    if (own.length === 0) return passed
    return passed === undefined ? own.join(', ') : `${passed}, ${own.join(', ')}`
  }

  forEachSent(visit: (name: string, value: string) => void): void {
    const { sentHead: text } = this.exchange
    const end = text.indexOf('\r\n\r\n')
    for (let at = text.indexOf('\r\n') + 2; at > 1 && at < end; ) {
      const eol = text.indexOf('\r\n', at)
      const colon = text.indexOf(':', at)
      visit(text.slice(at, colon), text.slice(colon + 1, eol).trim())
      at = eol + 2
    }
  }

  trailer(name: string): string | undefined {
    const { answerTrailers: trailers } = this.exchange
    return trailers === null ? undefined : new HeadFields(trailers).get(name)
  }

  forEachTrailer(visit: (name: string, value: string) => void): void {
    const { answerTrailers: trailers } = this.exchange
    if (trailers !== null) new HeadFields(trailers).forEach(visit)
  }

  heldBody(): Buffer | null {
    const { heldAnswer } = this.exchange
    return heldAnswer === null ? null : Buffer.concat(heldAnswer)
  }

  hold(limit: number): void {
    this.exchange.answerHold = limit
  }

  setStatus(status: number): void {
    if (!(Number.isInteger(status) && status >= 200 && status <= 599)) {
      throw new RangeError(`a response cannot have the status ${status}`)
    }
    this.exchange.status = status
  }
}
