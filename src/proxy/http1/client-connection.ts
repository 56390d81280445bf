/**
 * One client connection: reads requests strictly in turn, hands each to dispatch, writes the answers.
 * The next request is not looked at before the answer to this one is written, so that nothing that a policy does for a
 * request happens before it is that request's turn.
 */

import { engineCounter } from '../../telemetry/engine-counters.ts'
import { clock } from '../clock.ts'
import { type Conduct, dispatch } from '../dispatch.ts'
import type { Engine } from '../engine.ts'
import { errors, type GatewayError } from '../errors.ts'
import type { Outcome, Relay, Verdict } from '../exchange.ts'
import { FilteredBody, type PolicyFilter } from '../filtered-body.ts'
import { type ClientSide, Forward } from '../forward.ts'
import { headerBlock, headerName, knownHash } from '../headers.ts'
import type { HeldBody } from '../held-body.ts'
import {
  type Chain,
  emptyChain,
  type PolicyTap,
  runHooks,
  runReceive,
  runRequestBody,
  runRespond,
  runResponseBody,
  runTaps,
} from '../pipeline.ts'
import type { Binding } from '../runtime.ts'
import { missingUpstream, upstreamFor } from '../upstream-choice.ts'
import { asksForWebSocket, forwardedTarget, refusalOf, sameWithoutParameters } from './admission.ts'
import { BodyReader } from './body.ts'
import type { ClientFacts } from './client-facts.ts'
import { Head, Parse } from './head.ts'
import { type BodySource, Http1Exchange } from './http1-exchange.ts'
import { takeHop } from './max-forwards.ts'
import {
  type AnswerContent,
  errorContent,
  httpDate,
  ownAnswer,
  parseError,
  verdictContent,
} from './own-answer.ts'
import { RelayedBody } from './relayed-body.ts'
import { cleanRequest } from './request-head.ts'
import { RequestTarget } from './request-target.ts'
import {
  type ClientFraming,
  cleanResponse,
  dropLength,
  interimHead,
  passedHead,
  upgradeHead,
} from './response-head.ts'
import { trailerLines } from './trailers.ts'
import type { Wire, WireOwner } from './wire.ts'

/** A body that nobody wants is read to its end when no more than this is missing, so that the connection can be kept. */
const discardSize = 64 * 1024
/** After a last answer: bytes and milliseconds for which the client may go on sending before the connection is cut. */
const lingerSize = 1024 * 1024
const lingerTime = 2000
/** Milliseconds without a request after which none is expected to be on its way. */
const crossingTime = 500

/** Bytes of empty lines before a request: one line is usual, a stream of them is an attack. */
const maxEmptyBytes = 64
/** Body bytes held while policies make up their mind, and bytes of further requests held while one is in work. */
const earlySize = 64 * 1024
const pipelineSize = 64 * 1024

const serverField = headerName('Server')
const closeLine = 'Connection: close\r\n'
const CR = 0x0d
const LF = 0x0a

export class ClientConnection implements WireOwner, ClientSide, Conduct, BodySource {
  readonly facts: ClientFacts
  readonly wire: Wire
  private readonly engine: Engine
  private readonly onGone: (connection: ClientConnection) => void

  /** head: between requests or inside a head. exchange: a request is in work. tunnel: raw bytes. linger: reading to the end. */
  private state: 'head' | 'exchange' | 'tunnel' | 'linger' | 'over' = 'head'
  private readonly parsed: Head
  private readonly body: BodyReader
  private readonly target = new RequestTarget()
  /** Bytes that were read and not yet used: an unfinished head, or pipelined requests. */
  private pending: Buffer | null = null
  private headBegun = false
  private emptyBytes = 0
  /** Inside `read`, which flushes at its end and goes on with the next request by itself. */
  private reading = false
  private served = 0
  private inputEnded = false
  private lingered = 0

  // Of the exchange in work.
  private current: Http1Exchange | null = null
  chain: Chain = emptyChain
  private forwarding: Forward | null = null
  /** A final head is written, or on its way; nothing else may answer. */
  private answered = false
  private keepAlive = false
  private framing: ClientFraming = 'none'
  /** The body of an answer that is made elsewhere; null: it comes from the upstream or is the gateway's own. */
  private relaying: RelayedBody | null = null
  /** The policy that such an answer comes from. */
  private relayedBy = ''
  /** Who sees the body of the upstream's answer as it came. */
  private taps: PolicyTap[] | null = null
  /** The answer's body on its way through filters of policies; null when nobody filters it. */
  private filtered: FilteredBody | null = null
  /** The upstream is done, and the filters are not yet: what is to be said at the end, and to be done after it. */
  private held: { readonly last: string; readonly before: () => void } | null = null
  /** Body content that arrived before it was known where to send it, as latin1 text. */
  private early = ''
  /** The body on which the route depends, or for which a policy waits, while it is being read. */
  private holding: HeldBody | null = null
  /** The policy that waits for it; null: it is the route that does. */
  private onHeld: ((body: string | null) => void) | null = null
  private heldBytes = 0

  constructor(
    wire: Wire,
    facts: ClientFacts,
    engine: Engine,
    onGone: (connection: ClientConnection) => void,
  ) {
    this.wire = wire
    this.facts = facts
    this.engine = engine
    this.onGone = onGone
    this.parsed = new Head(engine.settings.limits.headers)
    this.body = new BodyReader(engine.settings.limits)
    this.body.beginNone()
    wire.setDeadline(clock.now + engine.settings.timeouts.header)
  }

  get exchange(): Http1Exchange {
    return this.current as Http1Exchange
  }

  get isOpen(): boolean {
    return this.state === 'exchange' && !this.answered
  }

  /**
   * Ends after the answer to the request in work, or to one that comes within a moment: a request that crosses the FIN
   * of an idle connection would be lost.
   */
  drain(): void {
    this.keepAlive = false
    if (this.state !== 'head' || this.pending !== null) return
    const now = clock.now
    const idleFor = now - (this.wire.due - this.engine.settings.timeouts.keepalive)
    if (idleFor >= crossingTime) this.close()
    else this.wire.setDeadline(now + crossingTime)
  }

  /** The client speaks without TLS where it is spoken. */
  refusePlain(): void {
    this.refuse(errors.plainHttp)
    this.wire.flush()
  }

  // What the wire tells.

  onBytes(bytes: Buffer, length: number): void {
    switch (this.state) {
      case 'head':
        this.read(bytes, length)
        break
      case 'exchange':
        this.readDuringExchange(bytes, length)
        break
      case 'tunnel':
        if (this.forwarding?.tunnelContent(this.wire, bytes, 0, length) === false) this.wire.pause()
        break
      case 'linger':
        this.lingered += length
        if (this.lingered > lingerSize) this.wire.destroy()
        break
      default:
    }
  }

  onEnd(): void {
    this.inputEnded = true
    if (this.state === 'tunnel') this.forwarding?.tunnelClientEnd()
    else if (this.state === 'exchange') {
      // The request will never be complete. After complete ones the client may wait for its answers (RFC 9112 9.6).
      if (!this.body.done) this.wire.destroy()
      else this.relaying?.clientEnded()
    } else if (this.state === 'head') this.close()
    else this.wire.destroy()
  }

  onDrain(): void {
    if (this.state === 'exchange' || this.state === 'tunnel') {
      if (this.body.done) this.wire.setDeadline(0)
      this.forwarding?.clientWritable()
      this.relaying?.resume()
    } else if (this.state === 'head') this.readPending()
    else if (this.state === 'linger') this.wire.setDeadline(clock.now + lingerTime)
  }

  onClose(): void {
    const { state } = this
    this.state = 'over'
    if (this.current !== null && (state === 'exchange' || state === 'tunnel')) {
      this.letGoOfUpstream()
      if (state === 'exchange') this.engine.counts.add(engineCounter.client_aborts, 1)
      this.finish(state === 'tunnel' ? 'complete' : 'client_abort')
    }
    this.onGone(this)
  }

  onDeadline(now: number): void {
    if (this.state === 'head') {
      if (this.pending === null) this.close()
      else {
        this.engine.counts.add(engineCounter.header_timeouts, 1)
        this.refuse(errors.headTimeout)
      }
    } else if (this.wire.queued > 0) this.onSlowReader(now)
    else if (this.state === 'exchange') this.onSlowBody()
    else this.wire.destroy()
  }

  /** A client that takes its answer slowly gets all of it; one that takes nothing at all is let go. */
  private onSlowReader(now: number): void {
    const { settings, counts } = this.engine
    if (this.wire.hasProgressed()) this.wire.setDeadline(now + settings.timeouts.write_stall)
    else {
      counts.add(engineCounter.write_stalls, 1)
      this.wire.destroy()
    }
  }

  private onSlowBody(): void {
    if (this.body.done || this.wire.isPaused) return
    this.engine.counts.add(engineCounter.body_timeouts, 1)
    this.forwarding?.abandon()
    this.keepAlive = false
    this.fail(errors.bodyTimeout)
  }

  // Reading.

  /** Reads requests, one after the other, from what has arrived. */
  private read(bytes: Buffer, length: number): void {
    let source = bytes
    let end = length
    if (this.pending !== null) {
      source = Buffer.concat([this.pending, bytes.subarray(0, length)])
      end = source.length
      this.pending = null
      // An unfinished head is looked at again when a line ends or when it is too long, not with every byte of a drip.
      if (!bytes.subarray(0, length).includes(LF) && end <= this.engine.settings.limits.head) {
        this.pending = source
        return
      }
    }
    let at = 0
    this.reading = true
    while (at < end && this.is('head') && !this.wire.isFull) {
      const next = this.readRequest(source, at, end)
      if (next === at) break
      at = next
    }
    this.reading = false
    this.forwarding?.flush()
    this.flush()
    if (at < end && (this.is('head') || this.is('exchange'))) this.hold(source, at, end)
    if (this.is('head')) this.watchHead()
  }

  /** @returns the offset after what was used; `at` when the head is not complete */
  private readRequest(bytes: Buffer, at: number, end: number): number {
    const start = afterEmptyLines(bytes, at, end)
    this.emptyBytes += start - at
    if (this.emptyBytes > maxEmptyBytes) {
      this.refuse(errors.badRequest)
      return end
    }
    // A lone CR may be the first half of another empty line.
    if (start === end || (start + 1 === end && bytes[start] === CR)) return start
    const next = this.parsed.parseRequest(bytes, start, end, this.engine.settings.limits)
    if (next === Parse.incomplete) return at
    if (next > 0) return this.begin(bytes, next, end)
    this.refuse(parseError(next))
    return end
  }

  /** Begins an exchange with the head that was just parsed. @returns the offset after what its body used */
  private begin(bytes: Buffer, at: number, end: number): number {
    const { parsed, engine, body } = this
    const { limits } = engine.settings
    this.state = 'exchange'
    this.headBegun = false
    this.emptyBytes = 0
    this.answered = false
    this.forwarding = null
    this.filtered = null
    this.relaying = null
    this.taps = null
    this.chain = emptyChain
    this.early = ''
    this.holding = null
    this.onHeld = null
    this.served++
    this.wire.clearDeadline()
    this.keepAlive =
      (parsed.minor === 1
        ? !parsed.connectionClose
        : parsed.connectionKeepAlive && !parsed.connectionClose) &&
      this.served < limits.requests_per_connection &&
      !engine.draining
    if (parsed.chunked) body.beginChunked()
    else if (parsed.contentLength > 0) body.beginLength(parsed.contentLength)
    else body.beginNone()
    engine.counts.add(engineCounter.requests, 1)

    const refused = refusalOf(parsed, this.target, engine.settings)
    const exchange = new Http1Exchange(this.facts, parsed, this.target, clock.now, this)
    this.current = exchange
    exchange.host = this.target.host
    if (refused !== null) {
      this.keepAlive = false
      this.fail(refused)
    } else this.route(exchange)
    return body.done || !this.is('exchange') ? at : this.readBody(bytes, at, end)
  }

  private route(exchange: Http1Exchange): void {
    const { facts } = this
    const { tls } = facts
    if (tls !== null && this.engine.certificates.guardsHosts) {
      if (!this.engine.certificates.admits(tls, exchange.host, exchange.path)) {
        this.keepAlive = false
        this.fail(errors.clientCertificate)
        return
      }
    }
    cleanRequest(this.parsed, facts.isTrusted, this.parsed.minor === 1)
    if (facts.isTrusted) exchange.client = facts.forRequest(exchange)
    this.match(exchange)
  }

  private match(exchange: Http1Exchange): void {
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
      if (this.body.done || this.early.length > held.wanted) this.endHolding(held)
      else this.wire.resume()
    })
  }

  private expectBody(held: HeldBody): void {
    this.holding = held
    if (!this.parsed.expectContinue || this.parsed.minor === 0) return
    this.parsed.expectContinue = false
    this.parsed.dropNamed('expect', knownHash('expect'))
    this.wire.send('HTTP/1.1 100 Continue\r\n\r\n')
    if (!this.reading) this.wire.flush()
  }

  private heldMore(held: HeldBody, bytes: number): void {
    if (!this.holds(bytes)) {
      this.keepAlive = false
      this.fail(errors.tooManyHeldBodies)
    } else if (this.early.length > held.wanted && !this.body.done) this.endHolding(held)
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
      if (this.early.length > earlySize && !this.body.done) this.wire.pause()
      onHeld(held.text)
    }
  }

  private readDuringExchange(bytes: Buffer, length: number): void {
    let at = 0
    if (!this.body.done) {
      this.reading = true
      at = this.readBody(bytes, 0, length)
      this.reading = false
      this.forwarding?.flush()
      this.flush()
    }
    if (at === length) return
    if (this.is('head')) this.read(bytes.subarray(at, length) as Buffer, length - at)
    else if (this.is('exchange')) this.hold(bytes, at, length)
  }

  /** @returns the offset after the body, or `end` */
  private readBody(bytes: Buffer, from: number, end: number): number {
    const { body } = this
    let at = from
    while (at < end && !body.done && this.is('exchange')) {
      at = body.next(bytes, at, end)
      if (body.failed) {
        this.engine.counts.add(engineCounter.bad_requests, 1)
        this.forwarding?.abandon()
        this.fail(errors.badBody)
        return end
      }
      if (body.to > body.from) this.takeContent(bytes, body.from, body.to)
    }
    if (!this.is('exchange')) return body.done ? at : end
    if (body.done) this.bodyEnded()
    else this.wire.setDeadline(clock.now + this.engine.settings.timeouts.body_idle)
    return at
  }

  private takeContent(bytes: Buffer, start: number, end: number): void {
    const { exchange, forwarding } = this
    exchange.requestBodyBytes += end - start
    const { body: limit } = this.engine.settings.limits
    if (limit > 0 && exchange.requestBodyBytes > limit) {
      forwarding?.abandon()
      this.keepAlive = false
      this.fail(errors.bodyTooLarge)
      return
    }
    if (forwarding !== null) {
      if (!this.showBody(bytes.subarray(start, end) as Buffer)) return
      if (!forwarding.content(this.wire, bytes, start, end)) this.wire.pause()
    } else if (!this.answered) {
      this.early += bytes.toString('latin1', start, end)
      if (this.holding !== null) this.heldMore(this.holding, end - start)
      else if (this.early.length > earlySize) this.wire.pause()
    }
  }

  /** Shows content to the policies, once it is known which they are. @returns false when one of them ended the request */
  private showBody(content: Buffer): boolean {
    if (this.chain.requestBody === null || this.answered) return true
    const answer = runRequestBody(this.chain.requestBody, this.exchange, content, this.engine)
    if (answer === null) return true
    this.forwarding?.abandon()
    this.keepAlive = false
    if (answer.error !== undefined) this.fail(answer.error)
    else this.answer(answer.verdict, answer.policy)
    return false
  }

  private bodyEnded(): void {
    this.wire.clearDeadline()
    this.wire.streamEnded()
    if (this.forwarding !== null) this.forwarding.bodyEnd(this.body.trailers)
    else if (this.relaying !== null) return
    else if (this.answered) this.endExchange('complete', null)
    else if (this.holding !== null) this.endHolding(this.holding)
  }

  private hold(bytes: Buffer, start: number, end: number): void {
    const held = bytes.subarray(start, end)
    this.pending = this.pending === null ? Buffer.from(held) : Buffer.concat([this.pending, held])
    if (this.state === 'exchange' && this.pending.length > pipelineSize) this.wire.pause()
  }

  private readPending(): void {
    if (this.wire.isFull) return
    const { pending } = this
    this.pending = null
    this.wire.resume()
    if (pending !== null) this.read(pending, pending.length)
  }

  /** After a read that left no request in work. */
  private watchHead(): void {
    if (this.inputEnded) this.close()
    else if (this.pending !== null && !this.headBegun) {
      this.headBegun = true
      this.wire.setDeadline(clock.now + this.engine.settings.timeouts.header)
    }
  }

  private is(state: string): boolean {
    return this.state === state
  }

  // Answering.

  answer(verdict: Verdict, policy: string): void {
    const { exchange } = this
    if (verdict.relay !== undefined) {
      this.relayedBy = policy
      this.passRelay(verdict.relay)
      return
    }
    exchange.rejectedBy = policy
    if (policy !== '') this.engine.counts.add(engineCounter.rejected_by_policy, 1)
    this.writeOwn(verdict.status, verdict.headers?.text ?? '', verdictContent(verdict))
  }

  fail(error: GatewayError): void {
    this.exchange.errorCode = error.code
    if (this.answered) {
      // The head has gone out: all that is left to say is that the message is not complete.
      this.wire.destroy()
      return
    }
    this.writeOwn(error.status, '', errorContent(error))
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

  /** Answers with a head and a body that are made elsewhere. */
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
    if (this.inputEnded) relaying.clientEnded()
    relaying.resume()
    if (!this.reading) this.flush()
  }

  /** A piece of the body that is made elsewhere. */
  relayed(bytes: Buffer): void {
    if (this.filtered !== null) {
      this.filtered.write(bytes)
      return
    }
    this.exchange.responseBodyBytes += bytes.length
    if (this.framing === 'chunked') this.wire.send(`${bytes.length.toString(16)}\r\n`)
    this.wire.sendOwned(bytes)
    if (this.framing === 'chunked') this.wire.send('\r\n')
  }

  relayEnded(): void {
    this.complete(null, nothing)
  }

  relayFailed(error: unknown): void {
    this.engine.policyFailed(this.relayedBy, error)
    this.abort()
  }

  /** Answers bytes that are no request, and ends the connection. */
  private refuse(error: GatewayError): void {
    this.engine.counts.add(engineCounter.bad_requests, 1)
    const { server } = this.engine.settings
    this.wire.send(ownAnswer(error.status, errorContent(error), server, closeLine, '', null, true))
    this.pending = null
    this.close()
  }

  private writeOwn(status: number, lines: string, content: AnswerContent): void {
    const { exchange } = this
    exchange.status = status
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
    const { status } = exchange
    // What is left of a small body is read and forgotten; a client that may or may not send it is not waited for.
    if (
      !this.body.done &&
      (this.parsed.expectContinue || this.body.remaining < 0 || this.body.remaining > discardSize)
    ) {
      this.keepAlive = false
    }
    const withBody = exchange.method !== 'HEAD' && !hasNoContent(status)
    const { server } = this.engine.settings
    const text = ownAnswer(status, content, server, this.connectionLine(), lines, exchange.edits, withBody)
    if (withBody) exchange.responseBodyBytes = content.body.length
    exchange.responseHeadBytes = text.length - exchange.responseBodyBytes
    exchange.sentHead = text
    if (this.chain.responseBody !== null && withBody) this.showAnswer(Buffer.from(content.body, 'latin1'))
    this.wire.send(text)
    this.answered = true
    if (this.body.done || !this.keepAlive) this.endExchange('complete', null)
    else this.wire.setDeadline(clock.now + this.engine.settings.timeouts.body_idle)
    if (!this.reading) this.wire.flush()
  }

  /** The client sends nothing more, and everything that it sent is in work. */
  private get isLast(): boolean {
    return this.inputEnded && this.pending === null
  }

  private connectionLine(): string {
    if (!this.keepAlive || this.isLast) return closeLine
    return this.parsed.minor === 0 ? 'Connection: keep-alive\r\n' : ''
  }

  // Forwarding, as `Conduct` and `ClientSide`.

  forward(binding: Binding): void {
    const { exchange, parsed } = this
    const upstream = upstreamFor(exchange, binding, this.engine.runtime)
    if (upstream === null) {
      this.fail(missingUpstream(exchange, binding))
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
      dropLength(parsed)
    }
    exchange.forwardTarget = target
    exchange.authority = this.target.authority
    exchange.upgrade = binding.webSocket && asksForWebSocket(parsed) && this.body.done
    this.forwarding = new Forward(
      exchange,
      binding,
      this.chain,
      upstream,
      this,
      this.engine,
      this.body.done,
      this.early,
    )
    this.early = ''
    if (this.body.done && exchange.newBody === null) this.forwarding.trailers = this.body.trailers
    this.wire.resume()
    this.forwarding.start()
    if (!this.reading) this.forwarding?.flush()
  }

  resumeRequestBody(): void {
    if (this.state === 'exchange' || this.state === 'tunnel') this.wire.resume()
  }

  interim(head: Head): void {
    if (this.answered || this.parsed.minor === 0) return
    if (head.status === 100 && !this.parsed.expectContinue) return
    this.wire.send(interimHead(head))
    if (!this.reading) this.wire.flush()
  }

  head(head: Head, body: BodyReader): boolean {
    const { exchange } = this
    exchange.status = head.status
    exchange.fromUpstream = true
    exchange.answerHead = head
    if (this.chain.receive !== null && !this.wasReceived(body)) return false
    const { server, forwarding } = this.engine.settings
    if (forwarding.replace_server && server !== '') exchange.answer.set(serverField, server)
    return this.passHead(head, body)
  }

  /** @returns false when a policy answered in place of what came */
  private wasReceived(body: BodyReader): boolean {
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

  private passHead(head: Head, body: BodyReader): boolean {
    const { exchange } = this
    const dated = cleanResponse(head, head.status !== 204 && head.status >= 200 && !head.chunked)
    const filters = this.chain.respond === null ? null : runRespond(this.chain.respond, exchange, this.engine)
    if (filters === false) {
      exchange.fromUpstream = false
      exchange.answerHead = null
      this.fail(errors.policyFailed)
      return false
    }
    if (!this.body.done) this.keepAlive = false
    const knownLength = this.knowsLength(head, body, filters !== null)
    if (!knownLength) dropLength(head)
    if (exchange.method === 'HEAD' || hasNoContent(exchange.status)) this.framing = 'none'
    else if (knownLength) this.framing = 'length'
    else if (this.parsed.minor === 1) this.framing = 'chunked'
    else {
      this.framing = 'close'
      this.keepAlive = false
    }
    if (filters !== null && this.framing !== 'none') this.filterAnswer(filters)
    this.answered = true
    const { via } = this.engine.settings.forwarding
    let lines =
      via === undefined ? this.connectionLine() : `${this.connectionLine()}Via: 1.${head.minor} ${via}\r\n`
    // An answer without a date gets the one of its arrival (RFC 9110 6.6.1).
    if (!dated) lines += `Date: ${httpDate()}\r\n`
    const text = passedHead(head, exchange.status, this.framing, lines, exchange.edits)
    exchange.responseHeadBytes = text.length
    exchange.sentHead = text
    this.wire.send(text)
    return true
  }

  /** The body that the client gets has the length that the upstream announced. */
  private knowsLength(head: Head, body: BodyReader, filtered: boolean): boolean {
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
        const text = bytes.toString('latin1')
        this.wire.send(this.framing === 'chunked' ? `${bytes.length.toString(16)}\r\n${text}\r\n` : text)
      },
      idle: () => {
        clock.tick()
        this.flush()
        this.forwarding?.clientWritable()
        this.relaying?.resume()
      },
      end: () => {
        clock.tick()
        const { held } = this
        this.held = null
        if (held !== null) this.completeNow(held.last, held.before)
      },
      failed: (policy, error) => {
        clock.tick()
        this.engine.policyFailed(policy, error)
        this.letGoOfUpstream()
        this.abort()
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
    return this.wire.isFull || this.filtered?.isBusy === true
  }

  content(from: Wire, bytes: Buffer, start: number, end: number): void {
    if (this.taps !== null) runTaps(this.taps, bytes.subarray(start, end), this.engine)
    if (this.framing === 'none') return
    if (this.filtered !== null) {
      this.filtered.write(Buffer.from(bytes.subarray(start, end)))
      return
    }
    this.exchange.responseBodyBytes += end - start
    if (this.chain.responseBody !== null) this.showAnswer(bytes.subarray(start, end) as Buffer)
    if (this.framing === 'chunked') {
      this.wire.send(`${(end - start).toString(16)}\r\n`)
      this.wire.sendFrom(from, bytes, start, end)
      this.wire.send('\r\n')
    } else this.wire.sendFrom(from, bytes, start, end)
  }

  complete(trailers: Head | null, before: () => void): void {
    if (this.taps !== null) runTaps(this.taps, null, this.engine)
    const last = this.framing === 'chunked' ? `0\r\n${trailerLines(trailers)}\r\n` : ''
    if (this.filtered === null) this.completeNow(last, before)
    else {
      this.held = { last, before }
      this.filtered.end()
    }
  }

  private completeNow(last: string, before: () => void): void {
    this.wire.send(last)
    this.flush()
    this.endExchange('complete', before)
  }

  /** Nobody wants the rest of the answer. */
  private letGoOfUpstream(): void {
    this.filtered?.cancel()
    this.forwarding?.abandon()
    this.relaying?.abandon()
    this.held?.before()
    this.held = null
  }

  abort(): void {
    this.filtered?.cancel()
    this.wire.flush()
    this.finish('upstream_abort')
    this.current = null
    // A body that ends with the connection would look complete after FIN; RST says that it is not.
    if (this.framing === 'close') this.wire.reset()
    else this.close()
  }

  tunnel(head: Head): void {
    const { exchange, pending } = this
    exchange.status = head.status
    exchange.fromUpstream = true
    exchange.answerHead = head
    if (this.chain.respond !== null) runHooks(this.chain.respond, exchange, this.engine)
    this.state = 'tunnel'
    this.answered = true
    this.wire.send(upgradeHead(head, exchange.edits))
    this.wire.flush()
    this.wire.setDeadline(0)
    this.pending = null
    if (pending !== null) this.forwarding?.tunnelContent(this.wire, pending, 0, pending.length)
    this.wire.resume()
    if (this.inputEnded) this.forwarding?.tunnelClientEnd()
  }

  tunnelEnd(): void {
    this.wire.end()
    this.watchOut()
  }

  /** Hands to the kernel what was sent, and watches over a client that does not take it. */
  flush(): void {
    this.wire.flush()
    if (this.state === 'exchange' && this.wire.due === 0 && this.wire.queued > 0) {
      this.wire.setDeadline(clock.now + this.engine.settings.timeouts.write_stall)
    }
  }

  // Ending.

  /** The exchange is over on the wire. `before` runs after the observers and before the next request. */
  private endExchange(outcome: Outcome, before: (() => void) | null): void {
    const { exchange } = this
    this.finish(outcome)
    before?.()
    this.forwarding = null
    this.relaying = null
    this.current = null
    if (!this.keepAlive || this.isLast || !this.body.done) {
      this.close()
      return
    }
    this.state = 'head'
    this.wire.setDeadline(exchange.end + this.engine.settings.timeouts.keepalive)
    if (!this.reading) this.readPending()
  }

  private finish(outcome: Outcome): void {
    const { exchange } = this
    exchange.outcome = outcome
    exchange.end = clock.now
    exchange.subrequest?.abort()
    this.early = ''
    if (this.heldBytes > 0) {
      this.engine.heldBytes -= this.heldBytes
      this.heldBytes = 0
    }
    this.engine.counts.add(engineCounter.responses, 1)
    if (this.chain.observe !== null) runHooks(this.chain.observe, exchange, this.engine)
    exchange.closeViews()
  }

  /** Sends FIN and reads on for a while, because closing with unread input would take the answer back (RFC 9112 9.6). */
  private close(): void {
    this.state = 'linger'
    this.wire.end()
    this.wire.resume()
    this.watchOut()
  }

  /** After FIN was sent, or will be once everything before it has been taken. */
  private watchOut(): void {
    const { write_stall: stall } = this.engine.settings.timeouts
    this.wire.setDeadline(clock.now + (this.wire.queued > 0 ? stall : lingerTime))
  }
}

function nothing(): void {}

/** Answers of these statuses end with their head (RFC 9110 6.4.1). */
function hasNoContent(status: number): boolean {
  return status === 204 || status === 304 || status < 200
}

/** Requests may be preceded by empty lines (RFC 9112 2.2). */
function afterEmptyLines(bytes: Buffer, at: number, end: number): number {
  let i = at
  while (i + 1 < end && bytes[i] === CR && bytes[i + 1] === LF) i += 2
  return i
}
