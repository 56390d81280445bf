/** One listener of a data thread: its server, and the connections that came in there. */
import type net from 'node:net'
import type { ListenerSettings } from '../config/settings.ts'
import { ProxyProtocolPeers } from './proxy-protocol/header-wait.ts'
import { hostPort } from './upstream/endpoint.ts'

/** A connection of a client, whatever it speaks. */
export interface OpenConnection {
  readonly wire: { destroy(): void }
  /** The listener closes: what is under way finishes, and nothing new begins. */
  drain(): void
}

/** What listens: a server for connections, or a socket for datagrams. */
export interface Listening {
  address(): net.AddressInfo
  /** Nothing new comes in. What has come in goes on. */
  close(): void
}

export class Listener {
  settings: ListenerSettings
  /** Null: connections do not begin with a header of the PROXY protocol. */
  peers: ProxyProtocolPeers | null
  readonly connections = new Set<OpenConnection>()
  readonly port: number
  /** `0.0.0.0:9100`. */
  readonly address: string
  private readonly listening: Listening

  /** What it is given listens already. */
  constructor(settings: ListenerSettings, listening: Listening) {
    this.settings = settings
    this.peers = peersOf(settings)
    this.listening = listening
    this.port = listening.address().port
    this.address = hostPort(settings.host, this.port)
  }

  get name(): string {
    return this.settings.name
  }

  /** Whether it can be what these settings describe, and need not be opened anew. */
  fits(wanted: ListenerSettings): boolean {
    const { host, port, protocol, passthrough } = this.settings
    return (
      host === wanted.host &&
      port === wanted.port &&
      protocol === wanted.protocol &&
      passthrough === wanted.passthrough
    )
  }

  /** For connections that come in from now on. */
  use(settings: ListenerSettings): void {
    this.settings = settings
    this.peers = peersOf(settings)
  }

  close(): void {
    this.listening.close()
    for (const connection of [...this.connections]) connection.drain()
  }
}

const peersOf = ({ proxy_protocol: settings }: ListenerSettings) =>
  settings === undefined ? null : new ProxyProtocolPeers(settings)

/** Several threads share the port (SO_REUSEPORT). */
export function listenTcp(server: net.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, reusePort: true, backlog: 4096 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
