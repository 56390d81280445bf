/** The time between an accepted connection and the end of its PROXY protocol header. */
import type net from 'node:net'
import type { ProxyProtocolSettings } from '../../config/settings.ts'
import { clock } from '../clock.ts'
import type { Wire, WireOwner } from '../http1/wire.ts'
import type { Deadline, TimerWheel } from '../timer-wheel.ts'
import { TrustedAddresses } from '../trust.ts'
import { readProxyHeader } from './header-reader.ts'

/** Who is believed, and what becomes of the others. Made once for a listener. */
export class ProxyProtocolPeers {
  private readonly trusted: TrustedAddresses
  private readonly ignoresOthers: boolean

  constructor({ trusted, untrusted }: ProxyProtocolSettings) {
    this.trusted = new TrustedAddresses(trusted)
    this.ignoresOthers = untrusted === 'ignore'
  }

  /** False: its connection is closed. */
  admits(address: string): boolean {
    return this.ignoresOthers || this.believes(address)
  }

  believes(address: string): boolean {
    return this.trusted.includes(withoutMapping(address))
  }
}

/** Who the client of a connection is; null: its peer. */
export type ProxiedClient = { readonly address: string; readonly port: number } | null

/** Pieces in which a header may arrive. */
const mostReads = 128

/** Of a connection whose bytes come over a wire. */
export class WireHeaderWait implements WireOwner {
  readonly wire: Wire
  private readonly done: (client: ProxiedClient, rest: Buffer) => void
  private readonly closed: (wait: WireHeaderWait) => void
  private readonly header = new ArrivingHeader()

  constructor(
    wire: Wire,
    due: number,
    done: (client: ProxiedClient, rest: Buffer) => void,
    closed: (wait: WireHeaderWait) => void,
  ) {
    this.wire = wire
    this.done = done
    this.closed = closed
    wire.owner = this
    wire.setDeadline(due)
  }

  /** Nothing of it has begun. */
  drain(): void {
    this.wire.destroy()
  }

  onBytes(bytes: Buffer, length: number): void {
    const found = this.header.add(bytes.subarray(0, length))
    if (found === 'invalid') this.wire.destroy()
    else if (found !== 'incomplete') {
      this.wire.clearDeadline()
      this.done(found.client, found.rest)
    }
  }

  onEnd(): void {
    this.wire.destroy()
  }

  onDrain(): void {}

  onClose(): void {
    this.closed(this)
  }

  onDeadline(): void {
    this.wire.destroy()
  }
}

/** Of a connection that goes on with TLS. */
export class SocketHeaderWait implements Deadline {
  due = 0
  wheelTick = 0
  wheelNext: Deadline | null = null
  wheelPrevious: Deadline | null = null

  private readonly socket: net.Socket

  /** Exactly one of `done` and `failed` is called, once. What follows the header is put back into the socket. */
  constructor(
    socket: net.Socket,
    wheel: TimerWheel,
    due: number,
    done: (client: ProxiedClient) => void,
    failed: () => void,
  ) {
    this.socket = socket
    const header = new ArrivingHeader()
    const over = () => {
      wheel.clear(this)
      socket.off('data', onData).off('end', onEnd).off('close', onClose)
    }
    const onData = (bytes: Buffer) => {
      clock.tick()
      const found = header.add(bytes)
      if (found === 'invalid') socket.destroy()
      else if (found !== 'incomplete') {
        over()
        socket.pause()
        if (found.rest.length > 0) socket.unshift(Buffer.from(found.rest))
        done(found.client)
        socket.resume()
      }
    }
    const onEnd = () => socket.destroy()
    const onClose = () => {
      over()
      failed()
    }
    socket.on('error', () => {})
    socket.on('data', onData).on('end', onEnd).on('close', onClose)
    wheel.set(this, due)
  }

  onDeadline(): void {
    this.socket.destroy()
  }
}

/** A header of which pieces come. */
class ArrivingHeader {
  private pending: Buffer | null = null
  private reads = 0

  /** `rest` is what follows it, valid only during the call. */
  add(piece: Buffer): { client: ProxiedClient; rest: Buffer } | 'incomplete' | 'invalid' {
    const bytes = this.pending === null ? piece : Buffer.concat([this.pending, piece])
    const header = readProxyHeader(bytes, bytes.length)
    if (header.kind === 'header') return { client: header.client, rest: bytes.subarray(header.length) }
    // Each piece means reading it again from its start.
    if (header.kind === 'invalid' || ++this.reads > mostReads) return 'invalid'
    this.pending = Buffer.from(bytes)
    return 'incomplete'
  }
}

/** An IPv4 peer of a dual-stack listener is an IPv4 peer. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
