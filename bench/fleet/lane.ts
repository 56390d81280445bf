import { connect, type TLSSocket } from 'node:tls'
import type { Answer } from './https.ts'

export interface LaneOptions {
  host: string
  port: number
  ca: string
  cert: string
  key: string
}

/**
 * One connection with a client certificate, one request at a time. As little work as it takes, because a thousand of these
 * share a core with nothing to spare: answers have a `Content-Length`, or are 204.
 */
export class Lane {
  readonly #options: LaneOptions
  #socket: TLSSocket | undefined
  #chunks: Buffer[] = []
  #size = 0
  /** Bytes of the answer under way, head included; 0: its head is not complete. */
  #wanted = 0
  #head = 0
  #status = 0
  #isLast = false
  #answer: PromiseWithResolvers<Answer> | undefined

  constructor(options: LaneOptions) {
    this.#options = options
  }

  ask(method: string, path: string, body?: object): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>()
    this.#answer = answer
    const text = body === undefined ? '' : JSON.stringify(body)
    const fields =
      body === undefined
        ? ''
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
    this.#open().write(`${method} ${path} HTTP/1.1\r\nHost: ${this.#options.host}\r\n${fields}\r\n${text}`)
    return answer.promise
  }

  #open(): TLSSocket {
    if (this.#socket !== undefined) return this.#socket
    const socket = connect({ ...this.#options, servername: 'localhost', ALPNProtocols: ['http/1.1'] })
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the control plane closed the connection')))
    this.#socket = socket
    return socket
  }

  #read(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#wanted === 0 && !this.#readHead()) return
    if (this.#size < this.#wanted) return
    const whole = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const answer = this.#answer
    const status = this.#status
    const body = whole.subarray(this.#head)
    this.#forget()
    if (this.#isLast) this.#leave()
    answer?.resolve({ status, body })
  }

  #readHead(): boolean {
    const seen = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const end = seen.indexOf('\r\n\r\n')
    if (end < 0) return false
    const head = seen.toString('latin1', 0, end)
    this.#status = Number(head.slice(9, 12))
    this.#isLast = /^connection: *close/im.test(head)
    this.#head = end + 4
    this.#wanted = this.#head + Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    return true
  }

  #forget(): void {
    this.#chunks = []
    this.#size = 0
    this.#wanted = 0
    this.#answer = undefined
  }

  #leave(): void {
    this.#socket?.removeAllListeners('close').destroy()
    this.#socket = undefined
  }

  #fail(error: Error): void {
    const answer = this.#answer
    this.#leave()
    this.#forget()
    answer?.reject(error)
  }
}
