/** A server that takes batches over TCP or TLS, each over a connection of its own. */
import { connect, isIP, type Socket } from 'node:net'

export interface TcpSinkOptions {
  host: string
  port: number
  /** Milliseconds until everything is written. */
  timeout: number
  /** Absent: no TLS. */
  tls?: { servername?: string; verify: boolean }
}

export class TcpSink {
  readonly #options: TcpSinkOptions

  constructor(options: TcpSinkOptions) {
    this.#options = options
  }

  /** Resolves when the kernel has everything. */
  async send(bytes: string): Promise<void> {
    const socket = await this.#open()
    const { host, port, timeout } = this.#options
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('it does not take them in time')), timeout)
        const settle = (end: () => void) => {
          clearTimeout(timer)
          end()
        }
        socket.once('error', (error) => settle(() => reject(error)))
        // What the server says is not listened to, and its end is ours.
        socket.resume()
        socket.end(bytes, () => settle(resolve))
      })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw new Error(`${host}:${port} cannot be reached (${code ?? message})`)
    } finally {
      socket.on('error', () => {})
      socket.setTimeout(timeout, () => socket.destroy())
      socket.unref()
    }
  }

  async #open(): Promise<Socket> {
    const { host, port, timeout, tls } = this.#options
    if (tls === undefined) return connect({ host, port, timeout })
    const { connect: connectTls } = await import('node:tls')
    const { servername, verify } = tls
    return connectTls({
      host,
      port,
      timeout,
      rejectUnauthorized: verify,
      // An address names no server (RFC 6066 3): the certificate is then held against the host itself.
      ...(servername !== undefined && isIP(servername) === 0 && { servername }),
    })
  }
}
