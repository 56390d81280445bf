/** One entry of `ssls`, as handshakes need it. What OpenSSL needs of it is made by the first handshake. */
import { constants, createHash, X509Certificate } from 'node:crypto'
import type tls from 'node:tls'
import { type SslSpec, type TlsProtocol, tlsProtocols } from '../../config/plan.ts'
import { compilePattern, matchesPattern, type TextPattern } from '../../config/regular-expression.ts'
import type { Settings } from '../../config/settings.ts'
import type { TicketKeys } from './ticket-keys.ts'

/** What is spoken inside: HTTP/1.1, HTTP/2 too, or what the gateway does not look at and has no word for. */
export type Inside = 'http1' | 'http2' | 'bytes'

/**
 * The preferred one first; the client's choice among them is in `alpnProtocol`. Null: nothing is said of that, whatever a
 * client offers.
 */
const protocolsInside: Readonly<Record<Inside, string[] | null>> = {
  http1: ['http/1.1'],
  http2: ['h2', 'http/1.1'],
  bytes: null,
}

/** Seconds for which a session may be continued. */
const sessionTimeout = 86_400

export class ServerCertificate {
  readonly spec: SslSpec
  readonly settings: Settings['tls']
  /** Paths for which a client needs no certificate. */
  private readonly skipped: readonly TextPattern[]
  private readonly servers: Record<Inside, tls.Server | null> = { http1: null, http2: null, bytes: null }
  private ticketKeys: Buffer | null = null
  private authorities: readonly X509Certificate[] | null = null

  constructor(spec: SslSpec, settings: Settings['tls']) {
    this.spec = spec
    this.settings = settings
    this.skipped = (spec.client?.skip_mtls_uri_regex ?? []).flatMap((source) => {
      const pattern = compilePattern(source, false)
      return 'problem' in pattern ? [] : [pattern]
    })
  }

  /** Requests may come without a certificate of the client, and are judged one by one. */
  get judgesRequests(): boolean {
    return this.spec.client?.skip_mtls_uri_regex !== undefined
  }

  skips(path: string): boolean {
    return this.skipped.some((pattern) => matchesPattern(pattern, path))
  }

  /**
   * Carries out a handshake on a connection of which nothing was taken; its end comes to `secured`.
   * @throws when OpenSSL does not take the certificate
   */
  handshake(
    socket: import('node:net').Socket,
    tickets: TicketKeys,
    secured: (socket: tls.TLSSocket) => void,
    inside: Inside,
  ): void {
    const keys = tickets.at(Date.now(), this.settings.session_ticket_rotation)
    const { servers } = this
    if (keys !== this.ticketKeys) for (const server of Object.values(servers)) server?.setTicketKeys(keys)
    this.ticketKeys = keys
    servers[inside] ??= this.makeServer(keys, secured, inside)
    servers[inside].emit('connection', socket)
  }

  /** Certificates between that of a client and the authority that vouches for it, none of which is counted. */
  isTooDeep(leaf: X509Certificate): boolean {
    const { client } = this.spec
    if (client === undefined) return false
    this.authorities ??= certificatesIn(client.ca)
    let between = 0
    for (let current: X509Certificate = leaf; ; between++) {
      const issuer =
        current.issuerCertificate ?? this.authorities.find((authority) => current.checkIssued(authority))
      if (issuer === undefined || issuer.subject === issuer.issuer) return between > client.depth
      if (between > client.depth) return true
      current = issuer
    }
  }

  private makeServer(
    ticketKeys: Buffer,
    secured: (socket: tls.TLSSocket) => void,
    inside: Inside,
  ): tls.Server {
    const names = protocolsInside[inside]
    const { createServer } = process.getBuiltinModule('node:tls')
    const { client, protocols = this.settings.protocols } = this.spec
    const pairs = oneOfEachKind(this.spec.pairs)
    if (pairs.length === 0) throw new Error('a secret that it refers to is missing')
    const server = createServer({
      cert: pairs.map(({ cert }) => cert),
      key: pairs.map(({ key }) => key),
      ...(client !== undefined && {
        ca: client.ca,
        requestCert: true,
        rejectUnauthorized: !this.judgesRequests,
      }),
      ...versions(protocols),
      // What OpenSSL takes for too weak today is what these versions were made of.
      ciphers: protocols.includes('TLSv1.1')
        ? `${this.settings.ciphers}:DEFAULT@SECLEVEL=0`
        : this.settings.ciphers,
      honorCipherOrder: true,
      secureOptions: forbidden(protocols) | (this.settings.session_tickets ? 0 : constants.SSL_OP_NO_TICKET),
      // A session is good for this certificate and these authorities only, and so is who was found out in it.
      sessionIdContext: this.sessionContext(),
      sessionTimeout,
      ticketKeys,
      ...(names !== null && { ALPNProtocols: names }),
    })
    server.on('secureConnection', secured)
    // The connection ends by itself, and that is noticed.
    server.on('tlsClientError', () => {})
    return server
  }

  private sessionContext(): string {
    const { id, client, pairs } = this.spec
    const text = JSON.stringify([id, client ?? null, pairs.map(({ cert }) => cert)])
    return createHash('sha256').update(text).digest('hex').slice(0, 32)
  }
}

/** OpenSSL holds one certificate for each kind of key. As in APISIX, a later one takes the place of an earlier one. */
function oneOfEachKind(pairs: SslSpec['pairs']): SslSpec['pairs'] {
  const byKind = new Map(
    pairs.map((pair) => [new X509Certificate(pair.cert).publicKey.asymmetricKeyType, pair]),
  )
  return [...byKind.values()]
}

/** The lowest and the highest; what lies between and is not wanted is forbidden. */
function versions(protocols: readonly TlsProtocol[]): { minVersion: TlsProtocol; maxVersion: TlsProtocol } {
  const wanted = tlsProtocols.filter((protocol) => protocols.includes(protocol))
  return { minVersion: wanted[0]!, maxVersion: wanted.at(-1)! }
}

function forbidden(protocols: readonly TlsProtocol[]): number {
  return protocols.includes('TLSv1.2') ? 0 : constants.SSL_OP_NO_TLSv1_2
}

function certificatesIn(pem: string): X509Certificate[] {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  return texts.map((text) => new X509Certificate(text))
}
