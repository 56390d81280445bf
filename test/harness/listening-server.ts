/** A server of a test on a port of its own, which can go away and come back there. */
import { once } from 'node:events'
import type http from 'node:http'
import type { AddressInfo } from 'node:net'

/** Who ends the server: a test, or what stands for one. */
export interface Closer {
  after(close: () => void): void
}

export interface ListeningServer {
  readonly port: number
  stop(): void
  /** On the same port. */
  restart(): Promise<unknown>
}

export async function listening(t: Closer, server: http.Server): Promise<ListeningServer> {
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const port = await listen(0)
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.after(stop)
  return { port, stop, restart: () => listen(port) }
}
