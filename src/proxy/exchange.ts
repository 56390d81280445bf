/**
 * One request and its response, as policies and the rest of the proxy see it.
 * The engines (HTTP/1 today) implement these views over the bytes they read; nothing here copies a head into an object.
 */
import type { X509Certificate } from 'node:crypto'
import type { ConsumerSpec, PluginConfig, RouteSpec, ServiceSpec } from '../config/plan.ts'
import type { FilterDecision } from './filter.ts'
import type { Timeline } from './timeline.ts'

/** A field name that was checked once, so that using it per request costs nothing. Made by `headerName`. */
export interface HeaderName {
  /** As it is written: `X-RateLimit-Limit`. */
  readonly text: string
  readonly lower: string
  /** The hash that head parsers compute for this name; see `nameHash`. */
  readonly hash: number
  /** The engine writes it, and nobody else. */
  readonly isReserved: boolean
  /** `X-Real-IP` or `X-Forwarded-*`: the gateway has something to say of it too. */
  readonly tellsOfClient: boolean
}

/** Complete, validated field lines (`Name: value\r\n...`) with the names they set. Made by `headerBlock`. */
export interface HeaderBlock {
  readonly text: string
  readonly names: readonly HeaderName[]
}

/** Fields as they came in. Names are lower case in every call. */
export interface HeaderView {
  /** The first value of that name, without surrounding white space; undefined when absent. */
  get(name: string): string | undefined
  /** All values of that name, in order, joined with `, `. */
  getAll(name: string): string | undefined
  has(name: string): boolean
  /** Walks over every field that is left after edits, in order; names as they were written. */
  forEach(visit: (name: string, value: string) => void): void
}

/** Changes to a head that is still to be written. Values with CR, LF, NUL or other controls throw `InvalidHeaderError`. */
export interface HeaderEdits {
  /** Replaces every field of that name. Numbers are written as they are. */
  set(name: HeaderName | string, value: string | number): void
  /** Adds a field beside those that are there. */
  add(name: HeaderName | string, value: string | number): void
  remove(name: HeaderName | string): void
  /** Replaces the fields of a block made at plan time; the cheapest way to send constant fields. */
  setBlock(block: HeaderBlock): void
}

export interface RequestHeaders extends HeaderView, HeaderEdits {
  /** The first value of that name as the client sent it, whatever policies made of it since. */
  sent(name: string): string | undefined
}

/** What the gateway read of a request. Edits go to the upstream's copy. */
export interface ExchangeRequest {
  readonly method: string
  /** The target as it came, byte for byte. */
  readonly target: string
  /** Canonical path: the one that routing, policies, logs and forwarding share. */
  readonly path: string
  /** After the first `?`, without it; empty when there is none. */
  readonly query: string
  /** Host without port, lower case; empty when an HTTP/1.0 client sent none. */
  readonly host: string
  /** `1.1` or `1.0`. */
  readonly version: string
  readonly headers: RequestHeaders
  /** Declared length; -1 when chunked, 0 when there is no body. */
  readonly contentLength: number
  /** Path, method, host, query and upstream that policies put in place of the client's for the upstream, as one text; empty: none. */
  readonly rewritten: string
  /** The path that the upstream gets, as it will stand in the request line. */
  readonly forwardedPath: string
  /** Body bytes read so far. */
  readonly bodyBytes: number
  /** Bytes of the head: start line, fields and the empty line. */
  readonly headBytes: number
  /** Changes the query that the upstream gets; without `?`, empty for none. */
  setQuery(query: string): void
  /**
   * The whole body, one character a byte, where it was read before the request goes on; empty when there is none. What
   * `setBody` put in its place, once it did.
   * Null: it is larger than `limit`, or is passed on piece by piece. A condition of a route that asks for a body that is
   * still to come is asked again when it is there.
   */
  heldBody(limit: number): string | null
  /**
   * Reads the body to its end before the request goes on; one character a byte, empty when there is none. What `setBody`
   * put in its place, once it did. Null: it is
   * larger than `limit` bytes, and what was read of it goes on as it came. For `request` handlers, which then are
   * asynchronous.
   */
  readBody(limit: number): Promise<string | null>
  /** Changes the body that the upstream gets, after `readBody` gave the whole of it. One character a byte. @throws Error */
  setBody(body: string): void
  /** For `observe`: those who observe later are told this in place of the query and of the body; one character a byte. */
  conceal(query: string | null, body: string | null): void
  /** The body that is to be told of; null: the one that came. */
  readonly concealedBody: string | null
  /**
   * Changes the path that the upstream gets, percent-encoded and from the root; the query stays. Routing, logs and other
   * policies go on with the path that the client asked for. @throws InvalidTargetError
   */
  setPath(path: string): void
  /** Changes the method that the upstream gets. @throws InvalidTargetError when it is none that is known */
  setMethod(method: string): void
  /** Changes the Host field that the upstream gets where it would be the client's own (`pass_host: pass`). */
  setHost(host: string): void
}

export interface ExchangeResponse {
  /** 0 until known. */
  readonly status: number
  /** True when the head came from an upstream, false for the gateway's own answers. */
  readonly fromUpstream: boolean
  /** The upstream's fields; empty for the gateway's own answers. */
  readonly headers: HeaderView
  /** Body bytes written to the client so far. */
  readonly bodyBytes: number
  /** Bytes of the head that went to the client. */
  readonly headBytes: number
  /** What the client got in a field that came from the upstream or from a policy, once the head is written; lower case. */
  sent(name: string): string | undefined
  /** Walks over every field that the client got, once the head is written; names as they were written. */
  forEachSent(visit: (name: string, value: string) => void): void
  /**
   * The first trailer field of that name behind the upstream's answer, lower case; undefined as long as the body is not
   * complete. Filters know it in `end`.
   */
  trailer(name: string): string | undefined
  /** Walks over all of them; names as they were written. */
  forEachTrailer(visit: (name: string, value: string) => void): void
  /**
   * The whole body that the upstream sent, where `hold` had the head wait for it; null: it is larger, or did not wait.
   */
  heldBody(): Buffer | null
  /**
   * Has the upstream's head wait until the body is complete, or larger than `limit` bytes, so that `respond` knows the
   * trailer fields; an answer that breaks off meanwhile is an error like one that did not come. In `request` only.
   */
  hold(limit: number): void
  /** Changes the status that the client gets: 200 to 599, in `respond` only. */
  setStatus(status: number): void
}

/** Who is calling, once an `identify` policy found out. */
export interface Consumer {
  readonly username: string
  readonly customId: string | undefined
  readonly spec: ConsumerSpec
}

export interface ClientInfo {
  /** The client's address: the peer, or what a trusted peer says. */
  readonly address: string
  /** Its port: that of the peer, unless a policy found another; 0: not known. */
  readonly port: number
  readonly peerAddress: string
  readonly peerPort: number
  readonly localAddress: string
  readonly localPort: number
  readonly scheme: 'http' | 'https'
  readonly listener: string
  /** Null: the connection is not encrypted. */
  readonly tls: TlsInfo | null
  /** The request came out of another one of this client. Nothing that it says of its origin is believed. */
  readonly isSubrequest: boolean
}

/** TLS with the client. */
export interface TlsInfo {
  /** The name that the client asked for, lower case; empty when it asked for none. */
  readonly serverName: string
  /** `TLSv1.3`. */
  readonly protocol: string
  readonly cipher: string
  /** What was agreed on to be spoken inside; empty: nothing was said. */
  readonly alpn: string
  readonly isResumed: boolean
  /**
   * `SUCCESS`: the client showed a certificate that the authorities of this name vouch for. `NONE`: it showed none, or was
   * not asked. Else `FAILED:` and a reason; then the certificate proves nothing.
   */
  readonly verify: string
  readonly clientCertificate: X509Certificate | undefined
}

/** Monotonic milliseconds (performance.now); 0 means that the moment has not come. */
export interface Timings {
  /** Wall clock of the first byte, epoch milliseconds. */
  readonly startedAt: number
  readonly start: number
  readonly upstreamStart: number
  readonly upstreamHead: number
  readonly end: number
}

/** How an exchange ended, for logs and metrics. */
export type Outcome =
  | 'pending'
  | 'complete'
  /** The client went away before it had everything. */
  | 'client_abort'
  /** The upstream broke off after its head had been passed on. */
  | 'upstream_abort'

export interface UpstreamInfo {
  /** `host:port` of the last endpoint tried. */
  readonly address: string
  readonly host: string
  readonly port: number
  /** What the host resolved to. */
  readonly ip: string
  readonly attempts: number
  /** Status of the last upstream answer; 0 when there was none. */
  readonly status: number
  /** As nginx has them: of every endpoint that was tried, in order, joined with `, `. */
  readonly addresses: string
  /** What each came to: the status of its answer, 504 when it took too long, else 502. */
  readonly statuses: string
}

export interface BindingInfo {
  readonly routeId: string
  readonly routeName: string
  readonly serviceId: string
  readonly serviceName: string
  /** The pattern that matched, as configured. */
  readonly matchedUri: string
  readonly matchedHost: string
  /** The resources behind it, where they are known. */
  readonly route?: RouteSpec | undefined
  readonly service?: ServiceSpec | undefined
  /** What a parameter (`:name`, `*name`) of the matched pattern stands for in the path, percent-encoded. */
  pathParameter?(name: string, path: string): string | undefined
}

/** What there is to say of a TCP or UDP session, beyond an exchange. */
export interface SessionInfo {
  readonly protocol: 'TCP' | 'UDP'
  /** Where the listener listens: `0.0.0.0:9100`. */
  readonly listenAddress: string
  /** As nginx has it of sessions: 200, or 400, 403, 500, 502 or 503 when it did not come about, or broke off. */
  readonly status: number
  /** Bytes from the client, and to it. */
  readonly received: number
  readonly sent: number
  readonly upstreamReceived: number
  readonly upstreamSent: number
  /**
   * What the client sends first, without taking it away; for `request` handlers. Asks with everything that has arrived
   * whether that is enough. Null: it is not, and more will not come in time, or than `most` bytes.
   */
  peek(most: number, isEnough: (arrived: Buffer) => boolean): Promise<Buffer | null>
}

export interface Exchange {
  /** Unique in this process, unless a policy chose it: a UUID made on first use. */
  readonly id: string
  readonly request: ExchangeRequest
  readonly response: ExchangeResponse
  /** Fields for the answer, whoever makes it; usable in every phase until the head is written. */
  readonly answer: HeaderEdits
  readonly client: ClientInfo
  /** Of a TCP or UDP session, which has no request; absent: it is a request. */
  readonly session?: SessionInfo
  /** Null when nothing matched (only global policies run then). */
  readonly binding: BindingInfo | null
  readonly consumer: Consumer | null
  /** Empty unless a credential resource was used. */
  readonly credentialId: string
  /** What an identity provider says of a caller who need not be a consumer, as parsed JSON; `identify` policies set it. */
  externalUser: Readonly<Record<string, unknown>> | null
  readonly timings: Timings
  readonly upstream: UpstreamInfo | null
  readonly outcome: Outcome
  /** Name of the policy that answered, else empty. */
  readonly rejectedBy: string
  /** Catalogue code of an error that the gateway answered itself (`upstream_connect_failed`, ...), else empty. */
  readonly errorCode: string
  /** What the filters of policies decided so far; the pipeline's own. */
  filterDecisions: FilterDecision[] | null
  /** Policies that have no further turn at this request; null: none. */
  skippedPolicies: string[] | null
  /** The one that was made for it and is under way; it ends with the exchange. The engine's own. */
  subrequest: { abort(): void } | null
  /** Values of variables that only a policy knows, by their names, one character a byte; null: there are none. */
  told: Record<string, string> | null
  /** Members that policies add to what loggers say of the exchange; null: none. */
  logged: Record<string, unknown> | null
  /** What takes how long in it; null: nobody follows. Whoever wants to follow puts one here that is not there yet. */
  timeline: Timeline | null
  /** Puts another id in place of the one that the gateway gave. */
  setId(id: string): void
  /** The client is another than the peer: whoever comes later, and the upstream, is told that address. */
  setClientAddress(address: string, port: number | undefined): void
  /** Attaches the caller. Sets X-Consumer-Username and its companions for the upstream. Only `identify` policies call it. */
  identify(consumer: Consumer, credentialId: string): void
  /** Sends the request to another upstream than its binding's; null: to that one after all. */
  sendTo(upstream: UpstreamHandle | null): void
}

/** An upstream that a policy may send requests to; see `PolicyHost.upstream`. */
export interface UpstreamHandle {
  /** The key of its `UpstreamSpec`. */
  readonly key: string
  /** False: there is no such upstream in the plan. */
  readonly exists: boolean
  /** Whether any of its endpoints is neither unhealthy nor ejected. */
  readonly isUp: boolean
  /** Where one of its endpoints can be asked that takes traffic; undefined: there is none that speaks HTTP. */
  readonly origin: UpstreamOrigin | undefined
}

export interface UpstreamOrigin {
  /** Scheme, address and port: `http://10.0.0.1:8080`. */
  readonly url: string
  /** What it is told in Host; undefined: what the client says. */
  readonly host: string | undefined
}

/** A policy's answer in place of the upstream's. */
export interface Verdict {
  status: number
  /** An object is sent as JSON with a newline after it; a string as it is; absent: the dialect's page for that status. */
  body?: string | Record<string, unknown>
  /** Fields of the answer, beside Content-Length, Date and Server. */
  headers?: HeaderBlock
  /** Content-Type of the body. Default: text/plain; charset=utf-8 for a string, application/json for an object. */
  contentType?: string
  /** The whole answer in place of all of the above but `status`. */
  relay?: Relay
}

/** An answer that is made elsewhere: it comes out of a store, or from a peer that a policy asked itself. */
export interface Relay {
  /**
   * Status line and fields as a peer sends them, with the empty line at the end; one character a byte. The body has the
   * length that Content-Length says, or goes on until `read` gives null.
   */
  readonly head: string
  /** The next piece, null at the end. It is given away: nobody writes to it again. A throw breaks the answer off. */
  read(): Buffer | null | Promise<Buffer | null>
  /**
   * The client sends nothing more: it waits for the rest, or has gone, and nothing else tells of that before two more pieces
   * have been written. An answer without an end of its own ends here.
   */
  clientEnded?(): void
  /** Once: after the end, or when nobody wants the rest. */
  close(): void
}

/** A request that a policy makes to the gateway itself, in the name of a client. */
export interface SubrequestHead {
  readonly method: string
  /** Path and query, of visible characters; one character a byte. */
  readonly target: string
  readonly version: '1.0' | '1.1'
  /** Made by `fieldLines`; without fields that frame the message. */
  readonly lines: string
  readonly body: Buffer
  /** Milliseconds until the answer has to be complete. */
  readonly timeout: number
  /** Bytes of the body of the answer. */
  readonly largestBody: number
}

export interface SubrequestAnswer {
  readonly status: number
  readonly reason: string
  /** Names as they were written. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** False: the body broke off. */
  readonly isComplete: boolean
}

/** Why there is no answer; `closed`: there was none, or who asked has gone. */
export type SubrequestFailure = 'timeout' | 'too_large' | 'closed'

/** Sees the body of an upstream's answer as it came, and changes nothing. A throw ends that, not the answer. */
export interface Tap {
  /** A piece of content, valid only during the call. */
  write(piece: Buffer): void
  /** The body is complete. Not called of one that broke off. */
  end(): void
}

/** What a request phase gives back: nothing to go on, a verdict to end the request. Synchronous results are not awaited. */
export type PhaseResult = Verdict | undefined | void | Promise<Verdict | undefined | void>

/** The handlers of one policy in one binding. A handler that is not there costs nothing. */
export interface PolicyHandlers {
  /** The policy's stage: identify, authorize, limit or transform. A throw denies the request with 500. */
  request?(exchange: Exchange): PhaseResult
  /**
   * After everybody let the request pass: an answer in place of the upstream's. Nothing: the next one, and at last the
   * upstream, has its turn.
   */
  serve?(exchange: Exchange): PhaseResult
  /** The upstream's copy, before each attempt. */
  send?(exchange: Exchange): void
  /** Each piece of the request body on its way; a verdict stops the upload. */
  requestBody?(exchange: Exchange, chunk: Buffer): Verdict | undefined
  /**
   * What came back for the request, before anybody changes it: the head of the upstream's answer, or, where `fromUpstream`
   * is false, the status of the error that stands for an answer that did not come. A verdict takes its place. A tap is
   * shown the body, unless nothing but the end of the connection says where it ends.
   */
  receive?(exchange: Exchange): Verdict | Tap | void
  /**
   * An answer of the gateway's own - a policy's, or that to an error - before its head is made: what is given back takes its
   * place. It has no relay. Each policy is shown what the one before it made. A throw is told of, and changes nothing.
   */
  shape?(exchange: Exchange, answer: Verdict): Verdict | void
  /**
   * The response head, before it is written; also of the gateway's own answers. Edits through `exchange.answer`. A filter
   * that it returns sees the body, unless there is none; then the length is not known beforehand and is not announced.
   */
  respond?(exchange: Exchange): BodyFilter | void
  /**
   * Each piece of the answer's body as the client gets it, whoever made it, without its framing. It is a look and no more:
   * the piece may not be changed, and is the engine's again afterwards.
   */
  responseBody?(exchange: Exchange, chunk: Buffer): void
  /** Exactly once, after the last byte. */
  observe?(exchange: Exchange): void
}

/**
 * Changes a body on its way, piece by piece. What is returned goes on; nothing holds it back. A filter that takes its
 * time makes the sender wait, so that no more than one read's worth of bytes waits for it. A throw breaks the answer off.
 */
export interface BodyFilter {
  write(piece: Buffer): Buffer | undefined | Promise<Buffer | undefined>
  /** After the last piece. */
  end?(): Buffer | undefined | Promise<Buffer | undefined>
}

/** Where a policy runs. identify and transform run in the first pass, authorize and limit in the second (after the consumer is known). */
export type Stage = 'identify' | 'authorize' | 'limit' | 'transform'

/** What the pipeline needs of a policy; `policies/` fills it. The proxy knows no policy by name. */
export interface PolicyFactory {
  readonly name: string
  readonly stage: Stage
  /** Higher runs first within its pass; APISIX's published number where it has one. */
  readonly priority: number
  /** Bound by a global rule it stays silent where the route binds it too, so that nothing is counted twice. */
  readonly yieldsToRoute: boolean
  /** Where a configuration runs when not at `stage` and `priority`. */
  placement?(config: PluginConfig): { readonly stage: Stage; readonly priority: number }
  /** How it takes part in TCP and UDP sessions; absent: it does not. */
  readonly stream?: StreamPolicyFactory
  /** `holdBody` asks for the body to be there, as `request.heldBody`, before the policy runs; in bytes. */
  create(
    config: PluginConfig,
    binding: PolicyBindingContext,
    holdBody?: (limit: number) => void,
  ): PolicyHandlers
}

export interface StreamPolicyFactory {
  readonly priority: number
  create(config: PluginConfig, binding: PolicyBindingContext): PolicyHandlers
}

/** What the runtime tells a policy about the place it is bound to. */
export interface PolicyBindingContext {
  readonly policy: string
  readonly routeId: string
  readonly serviceId: string
  /** Which resource contributed the configuration: `route:1`, `stream_route:1`, `service:2`, `plugin_config:3`, `consumer:jack`, `global_rule:1`. */
  readonly owner: string
}
