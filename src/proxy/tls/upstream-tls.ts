/**
 * TLS towards one upstream. Connections that were opened through different objects of this class are never mixed: whatever
 * makes two connections differ, beside the name that is asked for, makes two objects.
 */
import net, { isIP } from 'node:net'
import type tls from 'node:tls'
import { isEncrypted, type SslSpec, type UpstreamSpec } from '../../config/plan.ts'
import type { Settings } from '../../config/settings.ts'
import { readByEvents, type SocketMaker } from '../http1/wire.ts'

export interface TlsConnectOptions {
  /** That are offered to be spoken inside; null: nothing is said of that. */
  protocols: string[] | null
  /** Goes in front of the handshake; null: nothing does. */
  preamble: Buffer | null
}

const http1 = ['http/1.1']
const requests: TlsConnectOptions = { protocols: http1, preamble: null }

/** Of requests, behind a header; null: there is none. */
export const requestsBehind = (preamble: Buffer | null): TlsConnectOptions =>
  preamble === null ? requests : { protocols: http1, preamble }

export interface UpstreamTlsOptions {
  verify: boolean
  /** Certificates in PEM; empty: those that Node.js brings. */
  ca: readonly string[]
  /** Shown to the upstream, if it asks. */
  client: { cert: string; key: string } | null
  /** Why there can be no connection, where the configuration says so already; else empty. */
  problem: string
}

/** Sessions that are kept for further handshakes, of different addresses and names. */
const keptSessions = 256

export class UpstreamTls {
  readonly options: UpstreamTlsOptions
  private context: tls.SecureContext | null = null
  private problem: Error | null
  private readonly sessions = new Map<string, Buffer>()

  constructor(options: UpstreamTlsOptions) {
    this.options = options
    this.problem = options.problem === '' ? null : new Error(options.problem)
  }

  /** Why no connection can be opened; null: nothing speaks against it. */
  prepare(): Error | null {
    if (this.problem !== null || this.context !== null) return this.problem
    const { ca, client } = this.options
    try {
      this.context = builtIn().createSecureContext({ ...(ca.length > 0 && { ca: [...ca] }), ...client })
    } catch (error) {
      this.problem = error as Error
    }
    return this.problem
  }

  /**
   * A connection that is ready with `secureConnect`. After `prepare` only.
   * @param name of the server, in the handshake and in its certificate; an address is compared and not sent
   */
  connect(
    address: string,
    port: number,
    name: string,
    { protocols, preamble }: TlsConnectOptions = requests,
  ): SocketMaker {
    return (onread) => {
      if (preamble === null) {
        const how = { host: address, port, allowHalfOpen: true, onread }
        return this.open(address, port, name, protocols, how)
      }
      // Over a socket that is there already, Node does not read into a buffer of ours.
      const how = { socket: begun(address, port, preamble), allowHalfOpen: true }
      return readByEvents(this.open(address, port, name, protocols, how), onread)
    }
  }

  /** The same for HTTP/2, as a stream. */
  connectHttp2(address: string, port: number, name: string, preamble: Buffer | null): tls.TLSSocket {
    const how = preamble === null ? { host: address, port } : { socket: begun(address, port, preamble) }
    return this.open(address, port, name, ['h2'], how)
  }

  private open(
    address: string,
    port: number,
    name: string,
    protocols: readonly string[] | null,
    how: object,
  ): tls.TLSSocket {
    const { connect, checkServerIdentity } = builtIn()
    const key = `${address} ${port} ${name}`
    const session = this.sessions.get(key)
    const socket = connect({
      secureContext: this.context!,
      // RFC 6066 section 3: addresses are not sent as server names.
      ...(isIP(name) === 0 && { servername: name }),
      ...(session !== undefined && { session }),
      rejectUnauthorized: this.options.verify,
      checkServerIdentity: (_: string, certificate: tls.PeerCertificate) =>
        checkServerIdentity(name, certificate),
      ...(protocols !== null && { ALPNProtocols: protocols }),
      ...how,
    } as unknown as tls.ConnectionOptions)
    socket.setNoDelay(true)
    socket.on('session', (fresh) => this.keepSession(key, fresh))
    return socket
  }

  private keepSession(key: string, session: Buffer): void {
    this.sessions.delete(key)
    if (this.sessions.size >= keptSessions) this.sessions.delete(this.sessions.keys().next().value as string)
    this.sessions.set(key, session)
  }
}

function begun(host: string, port: number, preamble: Buffer): net.Socket {
  const socket = net.connect({ host, port, allowHalfOpen: true })
  socket.write(preamble)
  return socket
}

/** Loaded by the first connection over TLS. */
function builtIn(): typeof tls {
  return process.getBuiltinModule('node:tls')
}

/** How an upstream is spoken to: what it says itself, and what the settings say for all; null: without TLS. */
export function upstreamTlsOptions(
  { scheme, tls: spec }: Pick<UpstreamSpec, 'scheme' | 'tls'>,
  { verify, ca }: Settings['upstream_tls'],
  ssls: ReadonlyMap<string, SslSpec>,
): UpstreamTlsOptions | null {
  if (!isEncrypted(scheme)) return null
  const own = spec?.authority_ids
  const verified = verify === 'never' ? false : (spec?.verify ?? (own !== undefined || verify))
  const authorities = own === undefined ? ca : own.flatMap((id) => ssls.get(id)?.client?.ca ?? [])
  const options = { verify: verified, ca: authorities, client: spec?.client ?? null, problem: '' }
  if (own !== undefined && authorities.length < own.length) {
    return {
      ...options,
      problem: `an authority is not there: ${own.filter((id) => !ssls.has(id)).join(', ')}`,
    }
  }
  const id = spec?.client_cert_id
  if (id === undefined) return options
  const ssl = ssls.get(id)
  const client = ssl?.type === 'client' ? ssl.pairs[0] : undefined
  if (client === undefined) return { ...options, problem: `the client certificate ${id} is not there` }
  return { ...options, client }
}

/** The name that a server is asked for by, out of a Host field: without its port, and without brackets. */
export function serverNameOf(host: string): string {
  if (host.startsWith('[')) {
    const end = host.indexOf(']')
    return end === -1 ? host : host.slice(1, end)
  }
  const colon = host.indexOf(':')
  return colon === -1 || colon !== host.lastIndexOf(':') ? host : host.slice(0, colon)
}
