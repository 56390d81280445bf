/**
 * The time between an accepted connection and its first request on listeners that speak TLS: reads which name is asked
 * for, has the handshake carried out with the certificate for it, and ends what is garbage or takes too long.
 */
import type net from 'node:net'
import type tls from 'node:tls'
import { engineCounter } from '../../telemetry/engine-counters.ts'
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import type { Deadline } from '../timer-wheel.ts'
import type { Certificates } from './certificates.ts'
import { readClientHello } from './client-hello.ts'
import { ClientTls } from './client-tls.ts'
import type { Inside, ServerCertificate } from './server-certificate.ts'
import type { TicketKeys } from './ticket-keys.ts'

/** Who goes on with connections. Each one that was begun comes to exactly one of these. */
export interface TlsOwner<Arrived> {
  /** `plain` is the connection below, which can be reset. */
  secured(socket: tls.TLSSocket, plain: net.Socket, facts: ClientTls, arrived: Arrived): void
  /** A client that speaks HTTP without TLS. */
  unsecured(socket: net.Socket, arrived: Arrived): void
  failed(): void
}

/** Pieces in which the first message may arrive. */
const mostReads = 256

/** RFC 8446 section 6: a fatal alert, in a record of its own. */
const alert = (description: number) => Buffer.from([21, 3, 1, 0, 2, 2, description])
const unrecognizedName = alert(112)
const internalError = alert(80)

/** `Arrived` is what the owner knows of a connection beforehand, and gets back. */
export class TlsAcceptor<Arrived> {
  private readonly engine: Engine
  private readonly certificates: Certificates
  private readonly tickets: TicketKeys
  private readonly owner: TlsOwner<Arrived>
  private readonly log: { warn(fields: object, message: string): void }
  /** By both ends of the connection, which tell it from any other that is open. */
  private readonly begun = new Map<string, Handshake>()
  private readonly secured = (socket: tls.TLSSocket) => {
    clock.tick()
    const handshake = this.begun.get(endsOf(socket))
    if (handshake === undefined) socket.destroy()
    else handshake.finish(socket)
  }
  /** Certificates that OpenSSL did not take, so that it is told once for each. */
  private readonly refused = new WeakSet<ServerCertificate>()

  constructor(
    engine: Engine,
    certificates: Certificates,
    tickets: TicketKeys,
    owner: TlsOwner<Arrived>,
    log: { warn(fields: object, message: string): void },
  ) {
    this.engine = engine
    this.certificates = certificates
    this.tickets = tickets
    this.owner = owner
    this.log = log
  }

  get pending(): number {
    return this.begun.size
  }

  /** `ssl`: the certificate that is shown, by its id; undefined: the name that the client asks for says which. */
  accept(socket: net.Socket, arrived: Arrived, inside: Inside, ssl: string | undefined): void {
    const ends = endsOf(socket)
    const handshake = new Handshake(socket, inside, {
      hello: (bytes) => this.read(handshake, bytes, ssl),
      secured: (secure) => this.finish(handshake, secure, arrived),
      unsecured: () => {
        this.forget(ends, handshake)
        this.owner.unsecured(socket, arrived)
      },
      gone: () => {
        this.forget(ends, handshake)
        this.engine.counts.add(engineCounter.tls_handshake_failures, 1)
        this.owner.failed()
      },
    })
    this.begun.set(ends, handshake)
    this.engine.wheel.set(handshake, clock.now + this.engine.settings.timeouts.handshake)
  }

  /** Ends what is under way. */
  close(): void {
    for (const handshake of this.begun.values()) handshake.socket.destroy()
  }

  private forget(ends: string, handshake: Handshake): void {
    this.engine.wheel.clear(handshake)
    if (this.begun.get(ends) === handshake) this.begun.delete(ends)
  }

  private read(handshake: Handshake, bytes: Buffer, ssl: string | undefined): void {
    const hello = readClientHello(bytes)
    switch (hello.kind) {
      case 'incomplete':
        return
      case 'plain':
        handshake.leavePlain()
        return
      case 'invalid':
        handshake.socket.destroy()
        return
      default:
        this.begin(handshake, bytes, hello.name, ssl)
    }
  }

  private begin(handshake: Handshake, bytes: Buffer, serverName: string, ssl: string | undefined): void {
    const asked = serverName === '' ? this.engine.settings.tls.fallback_sni : serverName
    const name = asked.endsWith('.') ? asked.slice(0, -1) : asked
    const certificate =
      ssl !== undefined ? this.certificates.named(ssl) : name === '' ? null : this.certificates.find(name)
    if (certificate === null) {
      handshake.refuse(unrecognizedName)
      return
    }
    handshake.begin(bytes, serverName, name, certificate)
    try {
      certificate.handshake(handshake.socket, this.tickets, this.secured, handshake.inside)
    } catch (error) {
      handshake.refuse(internalError)
      if (this.refused.has(certificate)) return
      this.refused.add(certificate)
      const reason = (error as Error).message
      this.log.warn({ ssl: certificate.spec.id, reason }, 'a certificate cannot be used: handshakes fail')
    }
  }

  private finish(handshake: Handshake, socket: tls.TLSSocket, arrived: Arrived): void {
    const { serverName, name, certificate } = handshake
    // The type of Node says less than it does: false when no name was sent.
    const understood = (
      (socket as unknown as { servername: string | false | null }).servername || ''
    ).toLowerCase()
    const facts = new ClientTls(socket, name, serverName, certificate!)
    const isVerified = certificate!.judgesRequests || !facts.verify.startsWith('FAILED')
    // OpenSSL does not always tell the name of a session that is continued; it belongs to this certificate in any case.
    const isUnderstood = understood === serverName || (understood === '' && facts.isResumed)
    if (!isUnderstood || !isVerified || socket.destroyed) {
      socket.destroy()
      return
    }
    this.forget(endsOf(socket), handshake)
    handshake.over = true
    this.engine.counts.add(engineCounter.tls_handshakes, 1)
    this.owner.secured(socket, handshake.socket, facts, arrived)
  }
}

interface HandshakeEvents {
  /** Everything that has arrived. */
  hello(bytes: Buffer): void
  secured(socket: tls.TLSSocket): void
  unsecured(): void
  gone(): void
}

class Handshake implements Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  readonly socket: net.Socket
  readonly inside: Inside
  serverName = ''
  name = ''
  certificate: ServerCertificate | null = null
  /** It came to an end, and what happens to the connection is no concern of it any more. */
  over = false
  private readonly events: HandshakeEvents
  private pending: Buffer | null = null
  private reads = 0
  private readonly onData = (bytes: Buffer) => {
    clock.tick()
    this.pending = this.pending === null ? bytes : Buffer.concat([this.pending, bytes])
    // Each piece means reading the message again from its start.
    if (++this.reads > mostReads) this.socket.destroy()
    else this.events.hello(this.pending)
  }

  constructor(socket: net.Socket, inside: Inside, events: HandshakeEvents) {
    this.socket = socket
    this.inside = inside
    this.events = events
    socket.on('error', () => {})
    // Before its first message is complete there is nothing to wait for.
    socket.on('end', () => {
      if (this.certificate === null && !this.over) socket.destroy()
    })
    socket.on('close', () => {
      if (this.over) return
      this.over = true
      events.gone()
    })
    socket.on('data', this.onData)
  }

  /** Gives back what was read, for the handshake itself. */
  begin(bytes: Buffer, serverName: string, name: string, certificate: ServerCertificate): void {
    this.serverName = serverName
    this.name = name
    this.certificate = certificate
    this.pending = null
    this.socket.off('data', this.onData)
    this.socket.pause()
    this.socket.unshift(bytes)
  }

  finish(socket: tls.TLSSocket): void {
    if (this.over) socket.destroy()
    else this.events.secured(socket)
  }

  leavePlain(): void {
    this.over = true
    this.socket.off('data', this.onData)
    this.events.unsecured()
  }

  refuse(alert: Buffer): void {
    this.socket.off('data', this.onData)
    this.socket.resume()
    this.socket.end(alert, () => this.socket.destroySoon())
  }

  onDeadline(): void {
    this.socket.destroy()
  }
}

function endsOf(socket: net.Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}
