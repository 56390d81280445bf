/**
 * One request of a client and its answer, whatever protocol they travel in: runs the policies, forwards, holds bodies,
 * filters and shows what passes, answers, and tells the observers. The protocol reads the request and writes the answer
 * (`ClientStream`). Used for one exchange after the other, never for two at a time.
 */

import { engineCounter } from '../telemetry/engine-counters.ts'
import { causeField, causeOf } from './cause.ts'
import type { ClientStream } from './client-stream.ts'
import { clock } from './clock.ts'
import { type Conduct, dispatch, routeNotFound } from './dispatch.ts'
import type { Engine } from './engine.ts'
import { errors, type GatewayError } from './errors.ts'
import type { Outcome, Relay, Verdict } from './exchange.ts'
import { FilteredBody, type PolicyFilter } from './filtered-body.ts'
import { type ClientSide, Forward } from './forward.ts'
import { callContent, statusLines } from './grpc/own-answer.ts'
import { isGrpcType } from './grpc/status.ts'
import { headerBlock, headerName, knownHash } from './headers.ts'
import type { HeldBody } from './held-body.ts'
import { type BodySource, HttpExchange } from './http-exchange.ts'
import { asksForWebSocket, forwardedTarget, refusalOf, sameWithoutParameters } from './http1/admission.ts'
import { BodyReader } from './http1/body.ts'
import type { ClientFacts } from './http1/client-facts.ts'
import { Head } from './http1/head.ts'
import { takeHop } from './http1/max-forwards.ts'
import { type AnswerContent, errorVerdict, httpDate, ownAnswer, verdictContent } from './http1/own-answer.ts'
import { RelayedBody, type RelaySink } from './http1/relayed-body.ts'
import { cleanRequest } from './http1/request-head.ts'
import { RequestTarget } from './http1/request-target.ts'
import {
  type ClientFraming,
  cleanResponse,
  dropLength,
  interimHead,
  passedHead,
} from './http1/response-head.ts'
import {
  type Chain,
  emptyChain,
  type PolicyTap,
  runHooks,
  runReceive,
  runRequestBody,
  runRespond,
  runResponseBody,
  runShape,
  runTaps,
} from './pipeline.ts'
import type { Binding } from './runtime.ts'
import type { AnswerBody, ByteSource } from './upstream/carrier.ts'
import { missingUpstream, upstreamFor } from './upstream-choice.ts'
import { WebSocket } from './websocket/web-socket.ts'

/** An answer whose head waits for its body, because a policy wants to know how it ends. */
interface HeldAnswer {
  readonly head: Head
  readonly body: AnswerBody
  readonly pieces: Buffer[]
  size: number
}

/** Body bytes held while policies make up their mind. */
const earlySize = 64 * 1024

const serverField = headerName('Server')
const contentTypeField = headerName('Content-Type')
const continueHead = 'HTTP/1.1 100 Continue\r\n\r\n'

export class Conversation implements ClientSide, Conduct, BodySource, RelaySink {
  readonly facts: ClientFacts
  private readonly engine: Engine
  private readonly stream: ClientStream
  private readonly target = new RequestTarget()

  /** Null between two exchanges. */
  private current: HttpExchange | null = null
  chain: Chain = emptyChain
  private forwarding: Forward | null = null
  /** A final head is written, or on its way; nothing else may answer. */
  private answered = false
  private tunnelling = false
  /** While tunnelling. */
  private webSocket: WebSocket | null = null
  private framing: ClientFraming = 'none'
  /** The body of an answer that is made elsewhere; null: it comes from the upstream or is the gateway's own. */
  private relaying: RelayedBody | null = null
  /** The policy that such an answer comes from. */
  private relayedBy = ''
  private waiting: HeldAnswer | null = null
  /** Who sees the body of the upstream's answer as it came. */
  private taps: PolicyTap[] | null = null
  /** The answer's body on its way through filters of policies; null when nobody filters it. */
  private filtered: FilteredBody | null = null
  /** The upstream is done, and the filters are not yet: what comes behind the body, and what is to be done after it. */
  private held: { readonly trailers: Head | null; readonly before: () => void } | null = null
  /** Body content that arrived before it was known where to send it, as latin1 text. */
  private early = ''
  /** The body on which the route depends, or for which a policy waits, while it is being read. */
  private holding: HeldBody | null = null
  /** The policy that waits for it; null: it is the route that does. */
  private onHeld: ((body: string | null) => void) | null = null
  private heldBytes = 0

  constructor(facts: ClientFacts, stream: ClientStream, engine: Engine) {
    this.facts = facts
    this.stream = stream
    this.engine = engine
  }

  get exchange(): HttpExchange {
    return this.current as HttpExchange
  }

  get isOpen(): boolean {
    return this.current !== null && !this.answered
  }

  // What the protocol tells.

  /** Begins an exchange with a head that was just parsed. `version` is the one of the client's protocol. */
  begin(head: Head, version: string): void {
    const { engine } = this
    this.answered = false
    this.tunnelling = false
    this.forwarding = null
    this.filtered = null
    this.relaying = null
    this.waiting = null
    this.taps = null
    this.chain = emptyChain
    this.early = ''
    this.holding = null
    this.onHeld = null
    engine.counts.add(engineCounter.requests, 1)

    const refused = refusalOf(head, this.target, engine.settings)
    const exchange = new HttpExchange(this.facts, head, this.target, clock.now, this, version)
    this.current = exchange
    exchange.host = this.target.host
    if (engine.follower !== null) engine.follower.begin(exchange)
    if (refused !== null) {
      this.stream.closeAfter()
      this.fail(refused)
    } else this.route(exchange)
  }

  /** A piece of the request's body. */
  requestContent(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    const { exchange, forwarding } = this
    exchange.requestBodyBytes += end - start
    const { body: limit } = this.engine.settings.limits
    if (limit > 0 && exchange.requestBodyBytes > limit) {
      this.refuseRest(errors.bodyTooLarge)
      return
    }
    if (forwarding !== null) {
      if (!this.showBody(bytes.subarray(start, end) as Buffer)) return
      if (!forwarding.content(from, bytes, start, end)) this.stream.pause()
    } else if (!this.answered) {
      this.early += bytes.toString('latin1', start, end)
      if (this.holding !== null) this.heldMore(this.holding, end - start)
      else if (this.early.length > earlySize) this.stream.pause()
    }
  }

  requestEnd(trailers: Head | null): void {
    if (this.forwarding !== null) this.forwarding.bodyEnd(trailers)
    else if (this.relaying !== null) return
    else if (this.answered) this.endExchange('complete', null)
    else if (this.holding !== null) this.endHolding(this.holding)
  }

  /** Hands on what was read of the request. */
  flushRequest(): void {
    this.forwarding?.flush()
  }

  /** The rest of the request's body is not wanted, or will not come as it should. */
  refuseRest(error: GatewayError): void {
    this.forwarding?.abandon()
    this.stream.closeAfter()
    this.fail(error)
  }

  /** The client sends nothing more, after a complete request. */
  clientEnded(): void {
    if (this.tunnelling) this.forwarding?.tunnelClientEnd()
    else this.relaying?.clientEnded()
  }

  /** The client took what it was given. */
  clientWritable(): void {
    this.forwarding?.clientWritable()
    this.relaying?.resume()
  }

  /** Bytes from the client in a tunnel. @returns false when it should wait */
  tunnelContent(from: ByteSource, bytes: Buffer, start: number, end: number): boolean {
    this.exchange.requestBodyBytes += end - start
    if (this.webSocket?.fromClient(bytes, start, end) === false) return true
    return this.forwarding?.tunnelContent(from, bytes, start, end) ?? true
  }

  /** The client is gone. */
  gone(): void {
    if (this.current === null) return
    this.letGoOfUpstream()
    if (!this.tunnelling) this.engine.counts.add(engineCounter.client_aborts, 1)
    this.finish(this.tunnelling ? 'complete' : 'client_abort')
    this.current = null
  }

  // Routing, and what policies want of the body before.

  private route(exchange: HttpExchange): void {
    const { facts } = this
    const { head } = exchange
    const { tls } = facts
    if (tls !== null && this.engine.certificates.guardsHosts) {
      if (!this.engine.certificates.admits(tls, exchange.host, exchange.path)) {
        this.stream.closeAfter()
        this.fail(errors.clientCertificate)
        return
      }
    }
    cleanRequest(head, facts.isTrusted, head.minor === 1)
    if (facts.isTrusted) exchange.client = facts.forRequest(exchange)
    this.match(exchange)
  }

  private match(exchange: HttpExchange): void {
    const { engine } = this
    const binding = engine.runtime.match(exchange, exchange.path)
    const sound =
      !this.target.hasParameters ||
      sameWithoutParameters(exchange, binding, engine.runtime, engine.settings.paths)
    const { heldBody } = binding === null ? engine.runtime.chains.global : binding.chain()
    if (heldBody > 0) exchange.heldBody(heldBody)
    if (exchange.held !== null && exchange.held.wanted > 0) this.holdBody(exchange.held)
    else if (!sound) this.fail(errors.badTarget)
    else {
      exchange.binding = binding
      dispatch(this, binding, engine)
    }
  }

  /** A condition or a chain asked for the body: it is read, to its end or to where it is too large, before routes are compared again. */
  private holdBody(held: HeldBody): void {
    this.chain = this.engine.runtime.chains.global
    this.expectBody(held)
  }

  /** A policy asked for the body. */
  holdFor(held: HeldBody): Promise<string | null> {
    return new Promise((resolve) => {
      this.onHeld = resolve
      this.expectBody(held)
      // What has come in already may be all of it, or too much.
      if (this.stream.isBodyDone || this.early.length > held.wanted) this.endHolding(held)
      else this.stream.resume()
    })
  }

  private expectBody(held: HeldBody): void {
    const { head } = this.exchange
    this.holding = held
    if (!head.expectContinue || head.minor === 0) return
    head.expectContinue = false
    head.dropNamed('expect', knownHash('expect'))
    this.stream.sendInterim(continueHead)
    this.stream.flush()
  }

  private heldMore(held: HeldBody, bytes: number): void {
    if (!this.holds(bytes)) this.refuseRest(errors.tooManyHeldBodies)
    else if (this.early.length > held.wanted && !this.stream.isBodyDone) this.endHolding(held)
  }

  holds(bytes: number): boolean {
    const { engine } = this
    this.heldBytes += bytes
    engine.heldBytes += bytes
    return engine.heldBytes <= engine.settings.limits.held_bodies
  }

  private endHolding(held: HeldBody): void {
    this.holding = null
    if (this.early.length > held.wanted) held.exceeded(this.early.length)
    else held.complete(this.early)
    const { onHeld } = this
    this.onHeld = null
    if (onHeld === null) this.match(this.exchange)
    else {
      if (this.early.length > earlySize && !this.stream.isBodyDone) this.stream.pause()
      onHeld(held.text)
    }
  }

  /** Shows content to the policies, once it is known which they are. @returns false when one of them ended the request */
  private showBody(content: Buffer): boolean {
    if (this.chain.requestBody === null || this.answered) return true
    const answer = runRequestBody(this.chain.requestBody, this.exchange, content, this.engine)
    if (answer === null) return true
    this.forwarding?.abandon()
    this.stream.closeAfter()
    if (answer.error !== undefined) this.fail(answer.error)
    else this.answer(answer.verdict, answer.policy)
    return false
  }

  // Answers that are the gateway's own.

  answer(verdict: Verdict, policy: string): void {
    const { exchange } = this
    if (verdict.relay !== undefined) {
      this.relayedBy = policy
      this.passRelay(verdict.relay)
      return
    }
    exchange.rejectedBy = policy
    if (verdict === routeNotFound) exchange.errorCode = errors.routeNotFound.code
    if (policy !== '') this.engine.counts.add(engineCounter.rejected_by_policy, 1)
    this.writeOwn(verdict)
  }

  fail(error: GatewayError): void {
    this.exchange.errorCode = error.code
    if (this.answered) {
      // The head has gone out: all that is left to say is that the message is not complete.
      this.stream.cut()
      return
    }
    this.writeOwn(errorVerdict(error))
  }

  unreachable(error: GatewayError): void {
    const { exchange, chain } = this
    if (chain.receive !== null && !this.answered) {
      exchange.status = error.status
      exchange.errorCode = error.code
      const received = runReceive(chain.receive, exchange, this.engine)
      if (received !== null && 'verdict' in received && received.verdict !== undefined) {
        this.answer(received.verdict, received.policy)
        return
      }
    }
    this.fail(error)
  }

  private writeOwn(made: Verdict): void {
    const { exchange, chain, engine } = this
    if (this.waiting !== null) this.dropWaiting()
    exchange.status = made.status
    const cause = causeOf(exchange)
    if (cause !== undefined) {
      engine.answered(cause)
      if (engine.settings.forwarding.show_cause)
        exchange.answer.set(causeField, `${cause.source} ${cause.code}`)
    }
    const answer = chain.shape === null ? made : runShape(chain.shape, exchange, made, this.engine)
    exchange.status = answer.status
    const lines = answer.headers?.text ?? ''
    const content = verdictContent(answer)
    // A policy that fails here has nothing to protect any more: the answer is the gateway's own.
    const filters = this.chain.respond === null ? null : runRespond(this.chain.respond, exchange, this.engine)
    this.forwarding = null
    const bodiless = exchange.method === 'HEAD' || hasNoContent(exchange.status)
    if (filters === null || filters === false || bodiless) this.writeNow(lines, content)
    else {
      this.answered = true
      this.filterOwn(content.body, filters, (body) => this.writeNow(lines, { ...content, body }))
    }
  }

  private filterOwn(body: string, filters: readonly PolicyFilter[], done: (body: string) => void): void {
    const { exchange } = this
    const pieces: Buffer[] = []
    this.filtered = new FilteredBody(filters, {
      piece: (bytes) => pieces.push(bytes),
      idle: () => {},
      end: () => {
        if (this.current === exchange) done(Buffer.concat(pieces).toString('latin1'))
      },
      failed: (policy, error) => {
        this.engine.policyFailed(policy, error)
        if (this.current === exchange) done('')
      },
    })
    if (body !== '') this.filtered.write(Buffer.from(body, 'latin1'))
    this.filtered.end()
  }

  private writeNow(lines: string, content: AnswerContent): void {
    const { exchange } = this
    if (exchange.status >= 300 && isGrpcType(exchange.headers.sent('content-type'))) {
      this.writeCallStatus(lines, content)
      return
    }
    this.writeWhole(lines, content)
  }

  /** The client made a call of gRPC, and looks at nothing but its status. */
  private writeCallStatus(lines: string, content: AnswerContent): void {
    const { exchange } = this
    const status = statusLines(exchange.status, content)
    exchange.status = 200
    if (exchange.edits?.speaksOf('content-type'))
      exchange.edits.set(contentTypeField, callContent.contentType)
    this.writeWhole(lines + status, callContent)
  }

  private writeWhole(lines: string, content: AnswerContent): void {
    const { exchange, stream } = this
    const { status } = exchange
    const connection = stream.connectionLine(true)
    const withBody = exchange.method !== 'HEAD' && !hasNoContent(status)
    const { server } = this.engine.settings
    const text = ownAnswer(status, content, server, connection, lines, exchange.edits, withBody)
    if (withBody) exchange.responseBodyBytes = content.body.length
    exchange.responseHeadBytes = text.length - exchange.responseBodyBytes
    exchange.sentHead = text
    if (this.chain.responseBody !== null && withBody) this.showAnswer(Buffer.from(content.body, 'latin1'))
    stream.sendWhole(text, exchange.responseHeadBytes)
    this.answered = true
    if (!stream.awaitsRest()) this.endExchange('complete', null)
    stream.flush()
  }

  // Answers with a head and a body that are made elsewhere, as `RelaySink`.

  private passRelay(relay: Relay): void {
    const { limits } = this.engine.settings
    this.forwarding = null
    const head = new Head(limits.headers)
    const bytes = Buffer.from(relay.head, 'latin1')
    if (head.parseResponse(bytes, 0, bytes.length, limits) !== bytes.length) {
      relay.close()
      const problem = new Error('the head of an answer that was made elsewhere cannot be sent')
      this.engine.policyFailed(this.relayedBy, problem)
      this.fail(errors.policyFailed)
      return
    }
    const body = new BodyReader(limits)
    if (head.contentLength >= 0) body.beginLength(head.contentLength)
    else body.beginUntilClose()
    this.exchange.status = head.status
    this.exchange.answerHead = head
    if (!this.passHead(head, body)) {
      relay.close()
      return
    }
    const length = this.framing === 'none' ? 0 : head.contentLength
    const relaying = new RelayedBody(relay, length, this)
    this.relaying = relaying
    if (this.stream.hasClientEnded) relaying.clientEnded()
    relaying.resume()
    this.flush()
  }

  /** A piece of the body that is made elsewhere. */
  relayed(bytes: Buffer): void {
    if (this.filtered !== null) {
      this.filtered.write(bytes)
      return
    }
    this.exchange.responseBodyBytes += bytes.length
    this.stream.sendOwned(bytes)
  }

  relayEnded(): void {
    this.complete(null, nothing)
  }

  relayFailed(error: unknown): void {
    this.engine.policyFailed(this.relayedBy, error)
    this.abort(errors.policyFailed)
  }

  // Forwarding, as `Conduct` and `ClientSide`.

  forward(binding: Binding): void {
    const { exchange, stream } = this
    const { head } = exchange
    const upstream = upstreamFor(exchange, binding, this.engine.runtime)
    if (upstream === null) {
      this.fail(missingUpstream(exchange, binding, this.engine.runtime))
      return
    }
    const { paths } = this.engine.settings
    const target = forwardedTarget(exchange, this.target, binding.stripPrefix, paths)
    if (target === null) {
      this.fail(errors.badTarget)
      return
    }
    if (!takeHop(exchange)) {
      const allow = this.engine.runtime.allowedMethods(exchange).join(', ')
      this.answer({ status: 200, body: '', headers: headerBlock([['Allow', allow]]) }, '')
      return
    }
    if (this.early !== '' && !this.showBody(Buffer.from(this.early, 'latin1'))) return
    if (exchange.newBody !== null) {
      this.early = exchange.newBody
      dropLength(head)
    }
    const bodyDone = stream.isBodyDone
    exchange.forwardTarget = target
    exchange.authority = this.target.authority
    exchange.upgrade = binding.webSocket && asksForWebSocket(head) && bodyDone
    this.forwarding = new Forward(
      exchange,
      binding,
      this.chain,
      upstream,
      this,
      this.engine,
      bodyDone,
      this.early,
    )
    this.early = ''
    if (bodyDone && exchange.newBody === null) this.forwarding.trailers = stream.trailers
    stream.resume()
    this.forwarding.start()
    if (!stream.isReading) this.forwarding?.flush()
  }

  resumeRequestBody(): void {
    if (this.current !== null) this.stream.resume()
  }

  interim(head: Head): void {
    const { head: request } = this.exchange
    if (this.answered || request.minor === 0) return
    if (head.status === 100 && !request.expectContinue) return
    this.stream.sendInterim(interimHead(head))
    this.stream.flush()
  }

  head(head: Head, body: AnswerBody): boolean {
    const { exchange } = this
    exchange.status = head.status
    exchange.fromUpstream = true
    exchange.answerHead = head
    if (this.chain.receive !== null && !this.wasReceived(body)) return false
    const { server, forwarding } = this.engine.settings
    if (forwarding.replace_server && server !== '') exchange.answer.set(serverField, server)
    if (exchange.answerHold === 0) return this.passHead(head, body)
    this.waiting = { head, body, pieces: [], size: 0 }
    return true
  }

  private dropWaiting(): void {
    this.waiting = null
    this.exchange.fromUpstream = false
    this.exchange.answerHead = null
  }

  /** @returns false when there is another answer now */
  private passWaiting({ head, body, pieces }: HeldAnswer): boolean {
    this.waiting = null
    if (!this.passHead(head, body)) return false
    for (const piece of pieces) this.passContent(null, piece, 0, piece.length)
    return true
  }

  /** @returns false when a policy answered in place of what came */
  private wasReceived(body: AnswerBody): boolean {
    const { exchange, chain } = this
    const received = runReceive(chain.receive!, exchange, this.engine)
    if (received === null) return true
    if (Array.isArray(received)) {
      if (!body.endsWithConnection) this.taps = received
      return true
    }
    exchange.fromUpstream = false
    exchange.answerHead = null
    if (received.error !== undefined) this.fail(received.error)
    else this.answer(received.verdict, received.policy)
    return false
  }

  private passHead(head: Head, body: AnswerBody): boolean {
    const { exchange, stream } = this
    const dated = cleanResponse(head, head.status !== 204 && head.status >= 200 && !head.chunked)
    const filters = this.chain.respond === null ? null : runRespond(this.chain.respond, exchange, this.engine)
    if (filters === false) {
      exchange.fromUpstream = false
      exchange.answerHead = null
      this.fail(errors.policyFailed)
      return false
    }
    const knownLength = this.knowsLength(head, body, filters !== null)
    if (!knownLength) dropLength(head)
    if (exchange.method === 'HEAD' || hasNoContent(exchange.status)) this.framing = 'none'
    else if (knownLength) this.framing = 'length'
    else this.framing = stream.framing
    if (this.framing === 'close') stream.closeAfter()
    if (filters !== null && this.framing !== 'none') this.filterAnswer(filters)
    this.answered = true
    const { via } = this.engine.settings.forwarding
    let lines = stream.connectionLine(false)
    if (via !== undefined) lines += `Via: 1.${head.minor} ${via}\r\n`
    // An answer without a date gets the one of its arrival (RFC 9110 6.6.1).
    if (!dated) lines += `Date: ${httpDate()}\r\n`
    const text = passedHead(head, exchange.status, this.framing, lines, exchange.edits)
    exchange.responseHeadBytes = text.length
    exchange.sentHead = text
    stream.sendHead(text, this.framing)
    return true
  }

  /** The body that the client gets has the length that the upstream announced. */
  private knowsLength(head: Head, body: AnswerBody, filtered: boolean): boolean {
    if (filtered || body.endsWithConnection || head.chunked) return false
    const { exchange } = this
    // A method or a status that a policy changed can make a body of none, or none of a body.
    return (
      exchange.upstreamMethod === exchange.method &&
      hasNoContent(exchange.status) === hasNoContent(head.status)
    )
  }

  private filterAnswer(filters: readonly PolicyFilter[]): void {
    const { exchange } = this
    this.filtered = new FilteredBody(filters, {
      piece: (bytes) => {
        exchange.responseBodyBytes += bytes.length
        if (this.chain.responseBody !== null) this.showAnswer(bytes)
        this.stream.sendPiece(null, bytes, 0, bytes.length)
      },
      idle: () => {
        clock.tick()
        this.flush()
        this.clientWritable()
      },
      end: () => {
        clock.tick()
        const { held } = this
        this.held = null
        if (held !== null) this.completeNow(held.trailers, held.before)
      },
      failed: (policy, error) => {
        clock.tick()
        this.engine.policyFailed(policy, error)
        this.letGoOfUpstream()
        this.abort(errors.policyFailed)
      },
    })
  }

  /** Shows a piece of the answer to the policies that look at it. */
  private showAnswer(piece: Buffer): void {
    const { chain, exchange } = this
    if (chain.responseBody !== null && piece.length > 0)
      runResponseBody(chain.responseBody, exchange, piece, this.engine)
  }

  /** The client is slower than its answer, or a filter of the answer is. */
  get isFull(): boolean {
    return this.stream.isFull || this.filtered?.isBusy === true
  }

  content(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    if (this.taps !== null) runTaps(this.taps, bytes.subarray(start, end), this.engine)
    const { waiting } = this
    if (waiting === null) {
      this.passContent(from, bytes, start, end)
      return
    }
    waiting.pieces.push(Buffer.from(bytes.subarray(start, end)))
    waiting.size += end - start
    if (waiting.size <= this.exchange.answerHold) return
    const { forwarding } = this
    if (!this.passWaiting(waiting)) forwarding?.abandon()
  }

  private passContent(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    if (this.framing === 'none') return
    if (this.filtered !== null) {
      this.filtered.write(Buffer.from(bytes.subarray(start, end)))
      return
    }
    this.exchange.responseBodyBytes += end - start
    if (this.chain.responseBody !== null) this.showAnswer(bytes.subarray(start, end) as Buffer)
    this.stream.sendPiece(from, bytes, start, end)
  }

  complete(trailers: Head | null, before: () => void): void {
    if (this.taps !== null) runTaps(this.taps, null, this.engine)
    this.exchange.answerTrailers = trailers
    const { waiting } = this
    if (waiting !== null) this.exchange.heldAnswer = waiting.pieces
    if (waiting !== null && !this.passWaiting(waiting)) before()
    else if (this.filtered === null) this.completeNow(trailers, before)
    else {
      this.held = { trailers, before }
      this.filtered.end()
    }
  }

  private completeNow(trailers: Head | null, before: () => void): void {
    this.stream.sendEnd(trailers)
    this.stream.flush()
    this.endExchange('complete', before)
  }

  abort(error: GatewayError): void {
    if (this.waiting !== null) {
      this.fail(error)
      return
    }
    this.filtered?.cancel()
    this.finish('upstream_abort')
    this.current = null
    this.stream.breakOff()
  }

  tunnel(head: Head): void {
    const { exchange } = this
    exchange.status = head.status
    exchange.fromUpstream = true
    exchange.answerHead = head
    if (this.chain.respond !== null) runHooks(this.chain.respond, exchange, this.engine)
    this.answered = true
    this.tunnelling = true
    this.webSocket = new WebSocket(this.engine.settings, {
      toClient: (bytes) => this.stream.tunnelPiece(null, bytes, 0, bytes.length),
      toUpstream: (bytes) => void this.forwarding?.tunnelContent(null, bytes, 0, bytes.length),
      end: () => {
        this.forwarding?.tunnelClientEnd()
        this.stream.endTunnel()
      },
    })
    this.stream.becomeTunnel(head, exchange.edits)
    if (this.engine.draining) this.webSocket.drain()
  }

  tunnelPiece(from: ByteSource, bytes: Buffer, start: number, end: number): void {
    const { webSocket } = this
    if (webSocket?.fromUpstream(bytes, start, end) === false) return
    this.exchange.responseBodyBytes += end - start
    this.stream.tunnelPiece(from, bytes, start, end)
    webSocket?.passed()
  }

  /** The gateway goes: a WebSocket is closed with 1001, at the end of a frame. */
  drainTunnel(): void {
    this.webSocket?.drain()
  }

  tunnelEnd(): void {
    this.stream.endTunnel()
  }

  flush(): void {
    this.stream.flush()
  }

  // Ending.

  /** Nobody wants the rest of the answer. */
  private letGoOfUpstream(): void {
    this.filtered?.cancel()
    this.forwarding?.abandon()
    this.relaying?.abandon()
    this.held?.before()
    this.held = null
  }

  /** The exchange is over on the wire. `before` runs after the observers and before the next request. */
  private endExchange(outcome: Outcome, before: (() => void) | null): void {
    this.finish(outcome)
    before?.()
    this.forwarding = null
    this.relaying = null
    this.current = null
    this.stream.exchangeOver()
  }

  private tellMessages({ messagesReceived, messagesSent }: WebSocket): void {
    this.webSocket = null
    this.exchange.told = {
      ...this.exchange.told,
      websocket_messages_received: String(messagesReceived),
      websocket_messages_sent: String(messagesSent),
    }
  }

  private finish(outcome: Outcome): void {
    const { exchange } = this
    exchange.outcome = outcome
    exchange.end = clock.now
    if (this.webSocket !== null) this.tellMessages(this.webSocket)
    exchange.subrequest?.abort()
    this.early = ''
    if (this.heldBytes > 0) {
      this.engine.heldBytes -= this.heldBytes
      this.heldBytes = 0
    }
    this.engine.counts.add(engineCounter.responses, 1)
    if (this.chain.observe !== null) runHooks(this.chain.observe, exchange, this.engine)
    if (exchange.timeline !== null) this.engine.follower?.end(exchange)
    exchange.closeViews()
  }
}

function nothing(): void {}

/** Answers of these statuses end with their head (RFC 9110 6.4.1). */
function hasNoContent(status: number): boolean {
  return status === 204 || status === 304 || status < 200
}
