/** A connection to one broker: requests one after the other, each with its answer, bounded in time and in bytes. */
import { connect, isIP, type Socket } from 'node:net'
import { authenticate, type SaslCredentials } from './sasl.ts'
import { KafkaReader, KafkaWriter } from './wire.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

export interface BrokerOptions {
  /** Milliseconds for a request and its answer, and for the connection to be there. */
  readonly timeout: number
  /** Absent: no TLS. */
  readonly tls?: { readonly verify: boolean } | undefined
  readonly sasl?: SaslCredentials | undefined
}

/** Requests by their numbers and the version of them that is spoken: those that brokers from 0.11 to 4 know. */
export const apis = {
  produce: { key: 0, version: 3 },
  metadata: { key: 3, version: 4 },
  saslHandshake: { key: 17, version: 1 },
  saslAuthenticate: { key: 36, version: 0 },
} as const

const clientId = 'sluice'
const largestAnswer = 4 * 1024 * 1024

interface Waiting {
  resolve(answer: KafkaReader): void
  reject(error: Error): void
}

export class Broker {
  readonly #name: string
  readonly #options: BrokerOptions
  readonly #socket: Socket
  #isOpen = true
  #received: Buffer = Buffer.alloc(0)
  /** In the order of the requests, which is that of the answers. */
  readonly #waiting = new Map<number, Waiting>()
  #correlation = 0

  private constructor(socket: Socket, name: string, options: BrokerOptions) {
    this.#socket = socket
    this.#name = name
    this.#options = options
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? error.name))
    socket.on('close', () => this.#fail('it closes the connection'))
    socket.unref()
  }

  /** @throws Error that names nothing of the credentials */
  static async open({ host, port }: BrokerAddress, options: BrokerOptions): Promise<Broker> {
    const name = `${host}:${port}`
    const socket = await connectTo(host, port, options)
    const broker = new Broker(socket, name, options)
    try {
      await broker.#connected(options.tls === undefined ? 'connect' : 'secureConnect')
      if (options.sasl !== undefined) await broker.#authenticate(options.sasl)
    } catch (error) {
      broker.close()
      throw error
    }
    return broker
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** @throws Error when there is no answer in time; then the connection is closed */
  async ask({ key, version }: { key: number; version: number }, body: Buffer): Promise<KafkaReader> {
    const correlation = this.#correlation++
    const { promise, resolve, reject } = Promise.withResolvers<KafkaReader>()
    if (!this.#isOpen) throw this.#problem('it closes the connection')
    this.#waiting.set(correlation, { resolve, reject })
    const timer = setTimeout(() => this.#fail('it does not answer in time'), this.#options.timeout)
    const head = new KafkaWriter().int16(key).int16(version).int32(correlation).text(clientId).finish()
    this.#socket.write(
      Buffer.concat([new KafkaWriter().int32(head.length + body.length).finish(), head, body]),
    )
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(correlation)
    }
  }

  close(): void {
    this.#fail('the gateway closes the connection')
  }

  #connected(event: 'connect' | 'secureConnect'): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail('it does not answer in time'), this.#options.timeout)
      const settle = (end: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(-1)
        end()
      }
      this.#waiting.set(-1, { resolve: () => {}, reject: (error) => settle(() => reject(error)) })
      this.#socket.once(event, () => settle(resolve))
    })
  }

  async #authenticate(credentials: SaslCredentials): Promise<void> {
    const shake = await this.ask(apis.saslHandshake, new KafkaWriter().text(credentials.mechanism).finish())
    if (shake.int16() !== 0) throw this.#problem(`it does not know ${credentials.mechanism}`)
    await authenticate(credentials, async (message) => {
      const answer = await this.ask(apis.saslAuthenticate, new KafkaWriter().bytes(message).finish())
      // Its own words could quote what was sent.
      if (answer.int16() !== 0) throw this.#problem('it does not accept the credentials')
      answer.text()
      return answer.bytes()
    })
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
    while (this.#isOpen && this.#received.length >= 4) {
      const length = this.#received.readInt32BE(0)
      if (length < 4 || length > largestAnswer) {
        this.#fail('its answer is too large')
        return
      }
      if (this.#received.length < length + 4) return
      const message = this.#received.subarray(4, length + 4)
      this.#received = this.#received.subarray(length + 4)
      this.#waiting.get(message.readInt32BE(0))?.resolve(new KafkaReader(message.subarray(4)))
    }
  }

  #fail(reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#socket.destroy()
    for (const { reject } of [...this.#waiting.values()]) reject(this.#problem(reason))
  }

  #problem(reason: string): Error {
    return new Error(`${this.#name} cannot be used (${reason})`)
  }
}

async function connectTo(host: string, port: number, { tls }: BrokerOptions): Promise<Socket> {
  if (tls === undefined) return connect({ host, port })
  const { connect: connectTls } = await import('node:tls')
  return connectTls({
    host,
    port,
    rejectUnauthorized: tls.verify,
    ...(isIP(host) === 0 && { servername: host }),
  })
}
