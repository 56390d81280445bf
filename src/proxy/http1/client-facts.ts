/** What is known of a client connection, and the lines that tell the upstream about it. */

import type { Settings } from '../../config/settings.ts'
import type { ClientInfo } from '../exchange.ts'
import type { HttpExchange } from '../http-exchange.ts'
import type { ClientTls } from '../tls/client-tls.ts'
import { TrustedAddresses } from '../trust.ts'
import type { HeaderEdits } from './header-edits.ts'
import { Field } from './known-fields.ts'

const nobody = new TrustedAddresses([])

export class ClientFacts implements ClientInfo {
  address: string
  readonly port: number
  readonly peerAddress: string
  readonly peerPort: number
  readonly localAddress: string
  readonly localPort: number
  readonly scheme: 'http' | 'https'
  readonly listener: string
  readonly tls: ClientTls | null
  readonly isSubrequest: boolean
  /** The peer's X-Forwarded-* fields are believed. */
  readonly isTrusted: boolean
  private readonly trust: TrustedAddresses
  private readonly forwarding: Settings['forwarding']
  /** The Host of the last request, with the lines about it: nearly every request of a connection names the same. */
  private lastHost: string | undefined
  private lastLines = ''

  constructor(
    peerAddress: string,
    peerPort: number,
    localAddress: string,
    localPort: number,
    listener: string,
    trust: TrustedAddresses,
    forwarding: Settings['forwarding'],
    tls: ClientTls | null = null,
    /** Of the request that this one came out of; undefined: it came by itself. */
    outerScheme?: 'http' | 'https',
  ) {
    this.peerAddress = withoutMapping(peerAddress)
    this.address = this.peerAddress
    this.peerPort = peerPort
    this.port = peerPort
    this.localAddress = withoutMapping(localAddress)
    this.localPort = localPort
    this.listener = listener
    this.tls = tls
    this.isSubrequest = outerScheme !== undefined
    this.scheme = outerScheme ?? (tls === null ? 'http' : 'https')
    this.trust = trust
    this.isTrusted = trust.includes(this.peerAddress)
    this.forwarding = forwarding
  }

  /** The same client, as far as it was found out, on a connection of its own; from there on nobody is believed. */
  static ofSubrequest({ client, headers }: HttpExchange, forwarding: Settings['forwarding']): ClientFacts {
    const { address, port, localAddress, localPort, listener, tls, isTrusted } = client as ClientFacts
    const isSecure = client.scheme === 'https' || (isTrusted && headers.get('x-forwarded-proto') === 'https')
    const scheme = isSecure ? 'https' : 'http'
    return new ClientFacts(address, port, localAddress, localPort, listener, nobody, forwarding, tls, scheme)
  }

  private linesFor(address: string, host: string): string {
    const lines =
      `X-Real-IP: ${address}\r\nX-Forwarded-For: ${address}\r\n` +
      `X-Forwarded-Proto: ${this.scheme}\r\nX-Forwarded-Port: ${this.portIn(host)}\r\n`
    return host === '' ? lines : `${lines}X-Forwarded-Host: ${host}\r\n`
  }

  /** The port that the client named, or else the one that it came to. */
  private portIn(host: string): string {
    return namedPort.exec(host)?.[1] ?? String(this.localPort)
  }

  /** The client of one request: behind a trusted peer it can differ from one to the next. */
  forRequest(exchange: HttpExchange): ClientInfo {
    if (!this.isTrusted) return this
    const address = this.trust.clientBehind(this.peerAddress, exchange.headers.getAll('x-forwarded-for'))
    if (address === this.peerAddress) return this
    return Object.assign(Object.create(ClientFacts.prototype) as ClientFacts, this, { address })
  }

  /** X-Real-IP and X-Forwarded-* as APISIX sends them (reference: apisix, part c), with what policies made of them. */
  forwardedLines(exchange: HttpExchange): string {
    const lines = this.ownLines(exchange)
    const edits = exchange.requestFields?.edits ?? null
    return edits?.tellsOfClient() === true ? withEdits(lines, edits) : lines
  }

  private ownLines(exchange: HttpExchange): string {
    const host = hostOf(exchange)
    if (this.isTrusted || this.forwarding.forwarded) return this.linesBehindProxy(exchange, host)
    const { address } = exchange.client
    if (address !== this.peerAddress) return this.linesFor(address, host)
    if (host !== this.lastHost) {
      this.lastHost = host
      this.lastLines = this.linesFor(address, host)
    }
    return this.lastLines
  }

  /** A field of the peer without a value says nothing. */
  private linesBehindProxy(exchange: HttpExchange, asked: string): string {
    const { head } = exchange
    const seen = new Map<number, string>()
    for (let n = 0; n < head.count; n++) {
      const id = head.id(n)
      if (head.isDropped(n) || id < Field.xForwardedFor || id > Field.forwarded) continue
      const value = head.value(n)
      head.drop(n)
      if (value === '') continue
      const before = seen.get(id)
      seen.set(id, before === undefined || id === Field.xForwardedProto ? value : `${before}, ${value}`)
    }
    const forwardedFor = seen.get(Field.xForwardedFor)
    let lines =
      `X-Real-IP: ${exchange.client.address}\r\n` +
      `X-Forwarded-For: ${forwardedFor === undefined ? '' : `${forwardedFor}, `}${this.peerAddress}\r\n` +
      `X-Forwarded-Proto: ${seen.get(Field.xForwardedProto) ?? this.scheme}\r\n` +
      `X-Forwarded-Port: ${seen.get(Field.xForwardedPort) ?? this.portIn(asked)}\r\n`
    const host = seen.get(Field.xForwardedHost) ?? asked
    if (host !== '') lines += `X-Forwarded-Host: ${host}\r\n`
    const before = seen.get(Field.forwarded)
    if (this.forwarding.forwarded) {
      const own = `for=${forwardedNode(this.peerAddress)};proto=${this.scheme};host="${asked}"`
      lines += `Forwarded: ${before === undefined ? '' : `${before}, `}${own}\r\n`
    } else if (before !== undefined) lines += `Forwarded: ${before}\r\n`
    return lines
  }
}

const namedPort = /:(\d+)$/

/** As the client wrote it; empty: it named none. */
function hostOf({ authority, head }: HttpExchange): string {
  if (authority !== '') return authority
  return head.hostField >= 0 ? head.value(head.hostField) : ''
}

/** What policies say of a field takes the place of what the gateway says, but for the last hop and X-Real-IP, which it vouches for. */
function withEdits(lines: string, edits: HeaderEdits): string {
  edits.remove('X-Real-IP')
  let kept = ''
  for (const line of lines.split('\r\n').slice(0, -1)) {
    const colon = line.indexOf(':')
    const lower = line.slice(0, colon).toLowerCase()
    if (!edits.speaksOf(lower)) kept += `${line}\r\n`
    else if (lower === 'x-forwarded-for') {
      const before = edits.values(lower)
      edits.remove(lower)
      kept += `X-Forwarded-For: ${[...before, line.slice(colon + 2)].join(', ')}\r\n`
    } else if (!edits.replaces(lower) || lower === 'x-real-ip') kept += `${line}\r\n`
  }
  return kept
}

/** An IPv4 client of a dual-stack listener is an IPv4 client. */
function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

/** RFC 7239 6: IPv6 addresses are quoted and in brackets. */
function forwardedNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address
}
