/** A port for datagrams: tells its clients apart and has a session for each. */
import type dgram from 'node:dgram'
import { type AddressInfo, isIPv6 } from 'node:net'
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import type { Listening } from '../listener.ts'
import { SessionClient, StreamSession } from '../stream/session.ts'
import { hostPort } from '../upstream/endpoint.ts'
import { mostQueued, type UdpReturn, UdpSession } from './udp-session.ts'

/** Who counts the sessions. */
export interface UdpHost {
  /** @returns false when there may be no more */
  admit(): boolean
  began(session: UdpSession): void
  over(session: UdpSession): void
}

export class UdpListener implements Listening, UdpReturn {
  private readonly socket: dgram.Socket
  private readonly name: string
  private readonly engine: Engine
  private readonly host: UdpHost
  /** By address and port of the client. */
  private readonly sessions = new Map<string, UdpSession>()
  private readonly local: AddressInfo
  private isClosing = false
  private isClosed = false

  private constructor(socket: dgram.Socket, name: string, engine: Engine, host: UdpHost) {
    this.socket = socket
    this.name = name
    this.engine = engine
    this.host = host
    this.local = socket.address()
    socket.on('message', (datagram, from) => this.received(datagram, from))
    // What cannot be sent is lost, as datagrams are.
    socket.on('error', () => {})
  }

  /** Several threads share the port (SO_REUSEPORT); the system gives all datagrams of a client to the same one. */
  static open(
    address: string,
    port: number,
    name: string,
    engine: Engine,
    host: UdpHost,
  ): Promise<UdpListener> {
    const { createSocket } = process.getBuiltinModule('node:dgram')
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', reusePort: true })
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address, port }, () => {
        socket.off('error', reject)
        resolve(new UdpListener(socket, name, engine, host))
      })
    })
  }

  address(): AddressInfo {
    return this.local
  }

  /** Sessions that wait for an answer may still get it. */
  close(): void {
    this.isClosing = true
    if (this.sessions.size === 0) this.end()
  }

  answer({ session, peer }: UdpSession, datagram: Buffer): void {
    if (this.isClosed || this.socket.getSendQueueSize() > mostQueued) return
    session.session.sent += datagram.length
    this.socket.send(datagram, peer.port, peer.address)
  }

  over(session: UdpSession): void {
    this.sessions.delete(keyOf(session.peer))
    this.host.over(session)
    if (this.isClosing && this.sessions.size === 0) this.end()
  }

  private received(datagram: Buffer, from: dgram.RemoteInfo): void {
    clock.tick()
    const known = this.sessions.get(keyOf(from))
    if (known === undefined) this.begin(datagram, from)
    else known.received(datagram)
  }

  /** What no route takes leaves no trace: sources of datagrams can be made up. */
  private begin(datagram: Buffer, peer: dgram.RemoteInfo): void {
    const { engine } = this
    const client = new SessionClient(peer, this.local, this.name, null)
    const binding = engine.runtime.streams.match({
      remoteAddress: client.address,
      localAddress: client.localAddress,
      localPort: client.localPort,
      serverName: '',
    })
    if (binding === null || this.isClosing) return
    if (this.sessions.size >= engine.settings.limits.datagram_sessions || !this.host.admit()) return
    const { address, port } = this.local
    const session = new UdpSession(
      new StreamSession(client, 'UDP', hostPort(address, port)),
      peer,
      engine,
      this,
    )
    this.sessions.set(keyOf(peer), session)
    this.host.began(session)
    session.received(datagram)
    session.start(binding)
  }

  private end(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.socket.close()
  }
}

const keyOf = ({ address, port }: { address: string; port: number }) => `${address} ${port}`
