/** A server that takes datagrams. What the network loses of them nobody hears of. */
import type { Socket } from 'node:dgram'
import { isIP } from 'node:net'

/** Bytes that a datagram over IPv4 holds. */
const largestDatagram = 65_507

export class UdpSink {
  readonly #host: string
  readonly #port: number
  #socket: Promise<Socket> | undefined

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  /** Resolves when the kernel has it. */
  async send(datagram: string): Promise<void> {
    const bytes = Buffer.from(datagram)
    const target = `${this.#host}:${this.#port}`
    if (bytes.length > largestDatagram)
      throw new Error(`${target} cannot be told: ${bytes.length} bytes do not fit a datagram`)
    this.#socket ??= open(isIP(this.#host) === 6 ? 'udp6' : 'udp4')
    const socket = await this.#socket
    await new Promise<void>((resolve, reject) => {
      socket.send(bytes, this.#port, this.#host, (error) => {
        if (error === null) resolve()
        else reject(new Error(`${target} cannot be reached (${(error as NodeJS.ErrnoException).code})`))
      })
    })
  }

  /** Whether the text fits a datagram. */
  static fits(text: string): boolean {
    return Buffer.byteLength(text) <= largestDatagram
  }
}

async function open(family: 'udp4' | 'udp6'): Promise<Socket> {
  const { createSocket } = await import('node:dgram')
  const socket = createSocket(family)
  socket.unref()
  // Nobody listens there: the next datagram may find somebody.
  socket.on('error', () => {})
  return socket
}
