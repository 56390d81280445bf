/**
 * A request that a policy makes to this gateway itself, for a client. It takes the way of any other: a client connection
 * reads its bytes, strictly, and runs the whole pipeline. Only the socket is missing, so that there is no peer on loopback
 * whose word anybody could trust: the client is the one that the request it came out of has.
 */
import type net from 'node:net'
import { Duplex } from 'node:stream'
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import type { Exchange, SubrequestAnswer, SubrequestFailure, SubrequestHead } from '../exchange.ts'
import { HttpExchange } from '../http-exchange.ts'
import type { Deadline } from '../timer-wheel.ts'
import { BodyReader } from './body.ts'
import { ClientConnection } from './client-connection.ts'
import { ClientFacts } from './client-facts.ts'
import { Head, Parse } from './head.ts'
import { readByEvents, Wire } from './wire.ts'

/** One at a time for each exchange, at whose end it ends too. */
export function sendSubrequest(
  outer: Exchange,
  head: SubrequestHead,
  engine: Engine,
): Promise<SubrequestAnswer | SubrequestFailure> {
  return new Promise((resolve) => {
    if (!(outer instanceof HttpExchange) || outer.outcome !== 'pending' || outer.subrequest !== null)
      resolve('closed')
    else new Subrequest(outer, head, engine, resolve).start()
  })
}

class Subrequest implements Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  private readonly outer: HttpExchange
  private readonly request: SubrequestHead
  private readonly engine: Engine
  private readonly resolve: (result: SubrequestAnswer | SubrequestFailure) => void
  private readonly socket: LoopSocket
  private readonly head: Head
  private readonly body: BodyReader
  private hasHead = false
  private pending: Buffer | null = null
  private readonly pieces: Buffer[] = []
  private isOver = false

  constructor(
    outer: HttpExchange,
    request: SubrequestHead,
    engine: Engine,
    resolve: (result: SubrequestAnswer | SubrequestFailure) => void,
  ) {
    this.outer = outer
    this.request = request
    this.engine = engine
    this.resolve = resolve
    const { limits } = engine.settings
    this.head = new Head(limits.headers)
    this.body = new BodyReader(limits)
    this.socket = new LoopSocket(
      (bytes) => this.take(bytes),
      (isClean) => this.ended(isClean),
    )
  }

  start(): void {
    const { engine, outer, socket, request } = this
    outer.subrequest = this
    const wire = new Wire(silent, engine.wheel, (onread) =>
      readByEvents(socket as unknown as net.Socket, onread),
    )
    const facts = ClientFacts.ofSubrequest(outer, engine.settings.forwarding)
    wire.owner = new ClientConnection(wire, facts, engine, nobody)
    engine.wheel.set(this, clock.now + request.timeout)
    socket.push(bytesOf(request))
  }

  onDeadline(): void {
    this.fail('timeout')
  }

  /** Whoever asked has gone. */
  abort(): void {
    this.fail('closed')
  }

  private take(bytes: Buffer): void {
    if (this.isOver) return
    const read = this.pending === null ? bytes : Buffer.concat([this.pending, bytes])
    this.pending = null
    let at = 0
    while (!this.hasHead) {
      const next = this.head.parseResponse(read, at, read.length, this.engine.settings.limits)
      if (next === Parse.incomplete) {
        this.pending = Buffer.from(read.subarray(at))
        return
      }
      if (next < 0) {
        this.fail('closed')
        return
      }
      at = next
      // Interim answers come before the one that counts (RFC 9110 15.2).
      if (this.head.status >= 200) this.beginBody()
    }
    while (at < read.length && !this.body.done && !this.isOver) {
      at = this.body.next(read, at, read.length)
      if (this.body.failed) this.fail('closed')
      else if (this.body.to > this.body.from) this.keep(read.subarray(this.body.from, this.body.to))
    }
    if (this.body.done) this.complete(true)
  }

  private beginBody(): void {
    const { head, body } = this
    this.hasHead = true
    if (this.request.method === 'HEAD' || head.status === 204 || head.status === 304) body.beginNone()
    else if (head.chunked) body.beginChunked()
    else if (head.contentLength >= 0) body.beginLength(head.contentLength)
    else body.beginUntilClose()
  }

  private keep(piece: Buffer): void {
    if (this.body.total > this.request.largestBody || !this.outer.source?.holds(piece.length))
      this.fail('too_large')
    else this.pieces.push(Buffer.from(piece))
  }

  /** The gateway ends the connection; `isClean`: as it does after all that it has to say. */
  private ended(isClean: boolean): void {
    if (this.isOver) return
    if (isClean) this.body.connectionEnded()
    if (this.hasHead) this.complete(this.body.done)
    else this.fail('closed')
  }

  private complete(isComplete: boolean): void {
    if (this.isOver) return
    const { head } = this
    const fields: [string, string][] = []
    for (let n = 0; n < head.count; n++) fields.push([head.name(n), head.value(n)])
    this.close()
    this.resolve({
      status: head.status,
      reason: head.reason,
      fields,
      body: Buffer.concat(this.pieces),
      isComplete,
    })
  }

  private fail(failure: SubrequestFailure): void {
    if (this.isOver) return
    this.close()
    this.resolve(failure)
  }

  private close(): void {
    this.isOver = true
    this.outer.subrequest = null
    this.engine.wheel.clear(this)
    this.socket.destroy()
  }
}

/** The gateway's end of a connection that has no other: what it writes is handed on, what it reads is pushed. */
class LoopSocket extends Duplex {
  private readonly receive: (bytes: Buffer) => void
  private readonly ended: (isClean: boolean) => void

  constructor(receive: (bytes: Buffer) => void, ended: (isClean: boolean) => void) {
    super({ allowHalfOpen: true })
    this.receive = receive
    this.ended = ended
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.receive(bytes)
    done()
  }

  override _final(done: () => void): void {
    this.ended(true)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.ended(false)
    done(error)
  }

  resetAndDestroy(): this {
    return this.destroy()
  }

  setNoDelay(): this {
    return this
  }
}

const nobody = { gone() {}, takeOver: null }
const silent = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {}, onDeadline() {} }

function bytesOf({ method, target, version, lines, body }: SubrequestHead): Buffer {
  const length = body.length > 0 ? `Content-Length: ${body.length}\r\n` : ''
  const head = Buffer.from(`${method} ${target} HTTP/${version}\r\n${lines}${length}\r\n`, 'latin1')
  return Buffer.concat([head, body])
}
