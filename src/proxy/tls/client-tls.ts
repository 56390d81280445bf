/** What the handshake with a client came to. What only variables ask for is looked up when they do. */
import type { X509Certificate } from 'node:crypto'
import type tls from 'node:tls'
import type { TlsInfo } from '../exchange.ts'
import type { ServerCertificate } from './server-certificate.ts'

export class ClientTls implements TlsInfo {
  /** That the certificate was found by: what the client asked for, or is taken to have asked for. Lower case. */
  readonly name: string
  /** What the client asked for; empty: nothing. */
  readonly serverName: string
  readonly certificate: ServerCertificate
  /** As nginx has it: `SUCCESS`, `NONE`, or `FAILED:` and a reason. */
  readonly verify: string
  private readonly socket: tls.TLSSocket
  private peer: X509Certificate | undefined

  constructor(socket: tls.TLSSocket, name: string, serverName: string, certificate: ServerCertificate) {
    this.socket = socket
    this.name = name
    this.serverName = serverName
    this.certificate = certificate
    this.verify = certificate.spec.client === undefined ? 'NONE' : this.verification()
  }

  get protocol(): string {
    return this.socket.getProtocol() ?? ''
  }

  get cipher(): string {
    return this.socket.getCipher()?.name ?? ''
  }

  get alpn(): string {
    return this.socket.alpnProtocol || ''
  }

  get isResumed(): boolean {
    return this.socket.isSessionReused()
  }

  /** Undefined: the client showed none. */
  get clientCertificate(): X509Certificate | undefined {
    this.peer ??= this.socket.getPeerX509Certificate()
    return this.peer
  }

  private verification(): string {
    const leaf = this.clientCertificate
    if (leaf === undefined) return 'NONE'
    if (!this.socket.authorized) return `FAILED:${this.socket.authorizationError ?? 'unknown'}`
    return this.certificate.isTooDeep(leaf) ? 'FAILED:certificate chain too long' : 'SUCCESS'
  }
}
