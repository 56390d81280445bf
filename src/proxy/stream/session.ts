/**
 * A TCP or UDP session as policies, balancers and logs see it: an exchange without a request, so that what is written for
 * requests and asks for nothing of HTTP works on streams too. What HTTP alone has is empty, and edits of it go nowhere.
 */
import { randomUUID } from 'node:crypto'
import { clock } from '../clock.ts'
import type {
  ClientInfo,
  Consumer,
  Exchange,
  ExchangeRequest,
  ExchangeResponse,
  Outcome,
  RequestHeaders,
  SessionInfo,
  Timings,
  TlsInfo,
  UpstreamHandle,
  UpstreamInfo,
} from '../exchange.ts'
import type { FilterDecision } from '../filter.ts'
import type { Timeline } from '../timeline.ts'
import type { StreamBinding } from './stream-routes.ts'

/** Both ends of the connection, and who the client is. */
export class SessionClient implements ClientInfo {
  address: string
  port: number
  readonly peerAddress: string
  readonly peerPort: number
  readonly localAddress: string
  readonly localPort: number
  readonly listener: string
  readonly tls: TlsInfo | null
  readonly isSubrequest = false

  constructor(
    peer: { readonly address: string; readonly port: number },
    local: { readonly address: string; readonly port: number },
    listener: string,
    tls: TlsInfo | null,
  ) {
    this.peerAddress = withoutMapping(peer.address)
    this.address = this.peerAddress
    this.port = peer.port
    this.peerPort = peer.port
    this.localAddress = withoutMapping(local.address)
    this.localPort = local.port
    this.listener = listener
    this.tls = tls
  }

  get scheme(): 'http' | 'https' {
    return this.tls === null ? 'http' : 'https'
  }
}

export class StreamSession implements Exchange, Timings {
  readonly client: SessionClient
  readonly session: SessionCounts
  readonly request: ExchangeRequest
  readonly response: ExchangeResponse
  readonly answer = noHeaders
  binding: StreamBinding | null = null
  readonly consumer: Consumer | null = null
  readonly credentialId = ''
  externalUser: Readonly<Record<string, unknown>> | null = null
  upstream: UpstreamInfo | null = null
  outcome: Outcome = 'pending'
  rejectedBy = ''
  errorCode = ''
  filterDecisions: FilterDecision[] | null = null
  skippedPolicies: string[] | null = null
  readonly subrequest = null
  told: Record<string, string> | null = null
  logged: Record<string, unknown> | null = null
  timeline: Timeline | null = null
  /** Key of the upstream that a policy chose; empty: none did. */
  chosenUpstream = ''
  readonly startedAt = Date.now()
  readonly start = clock.now
  upstreamStart = 0
  upstreamHead = 0
  end = 0
  private ownId = ''

  constructor(client: SessionClient, protocol: SessionInfo['protocol'], listenAddress: string) {
    this.client = client
    this.session = new SessionCounts(protocol, listenAddress)
    this.request = new NoRequest(this.session, client)
    this.response = new NoResponse(this.session)
  }

  get timings(): Timings {
    return this
  }

  get id(): string {
    if (this.ownId === '') this.ownId = randomUUID()
    return this.ownId
  }

  setId(id: string): void {
    this.ownId = id
  }

  setClientAddress(address: string, port: number | undefined): void {
    this.client.address = address
    this.client.port = port ?? 0
  }

  identify(): void {}

  sendTo(upstream: UpstreamHandle | null): void {
    this.chosenUpstream = upstream?.key ?? ''
  }
}

/** An IPv4 client of a dual-stack listener is an IPv4 client. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

class SessionCounts implements SessionInfo {
  readonly protocol: SessionInfo['protocol']
  readonly listenAddress: string
  status = 200
  received = 0
  sent = 0
  upstreamReceived = 0
  upstreamSent = 0
  /** Set by who reads from the client; null: there is no more than what has come. */
  reader: SessionInfo['peek'] | null = null

  constructor(protocol: SessionInfo['protocol'], listenAddress: string) {
    this.protocol = protocol
    this.listenAddress = listenAddress
  }

  async peek(most: number, isEnough: (arrived: Buffer) => boolean): Promise<Buffer | null> {
    return this.reader === null ? null : this.reader(most, isEnough)
  }
}

const noHeaders: RequestHeaders = {
  get: () => undefined,
  getAll: () => undefined,
  has: () => false,
  forEach() {},
  sent: () => undefined,
  set() {},
  add() {},
  remove() {},
  setBlock() {},
}

class NoRequest implements ExchangeRequest {
  readonly method = ''
  readonly target = ''
  readonly path = ''
  readonly query = ''
  readonly version = ''
  readonly headers = noHeaders
  readonly contentLength = 0
  readonly rewritten = ''
  readonly forwardedPath = ''
  readonly headBytes = 0
  readonly concealedBody = null
  private readonly counts: SessionCounts
  private readonly client: ClientInfo

  constructor(counts: SessionCounts, client: ClientInfo) {
    this.counts = counts
    this.client = client
  }

  get host(): string {
    return this.client.tls?.serverName ?? ''
  }

  get bodyBytes(): number {
    return this.counts.received
  }

  forEachTrailer(): void {}
  heldBody(): null {
    return null
  }

  async readBody(): Promise<null> {
    return null
  }

  setQuery(): void {}
  setBody(): void {}
  conceal(): void {}
  setPath(): void {}
  setMethod(): void {}
  setHost(): void {}
}

class NoResponse implements ExchangeResponse {
  readonly headers = noHeaders
  readonly headBytes = 0
  readonly fromUpstream = false
  private readonly counts: SessionCounts

  constructor(counts: SessionCounts) {
    this.counts = counts
  }

  get status(): number {
    return this.counts.status
  }

  get bodyBytes(): number {
    return this.counts.sent
  }

  sent(): undefined {
    return undefined
  }

  forEachSent(): void {}
  trailer(): undefined {
    return undefined
  }

  forEachTrailer(): void {}
  heldBody(): null {
    return null
  }

  hold(): void {}
  setStatus(): void {}
}
