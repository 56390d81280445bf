import { connect, type Socket } from 'node:net'

/** What clients that write saw. Milliseconds; a wait counts from the moment at which its request was due. */
export interface WriterReport {
  /** Answers a second. */
  rate: number
  p50: number
  p99: number
  /** Answers other than 200 and 201. */
  refused: number
}

interface Connection {
  socket: Socket
  /** When the request under way was due; undefined: there is none. */
  due: number | undefined
}

/** Clients that send numbered requests over a few connections, one at a time on each. */
export class Writers {
  readonly #connections: readonly Connection[]
  readonly #requestOf: (number: number) => string
  #answered: (connection: Connection, accepted: boolean) => void = () => {}
  #failed: (error: Error) => void = () => {}
  /** Of the next request; numbers do not come twice. */
  #next = 0

  static async open(port: number, connections: number, requestOf: (number: number) => string) {
    return new Writers(await Promise.all(Array.from({ length: connections }, () => open(port))), requestOf)
  }

  private constructor(sockets: readonly Socket[], requestOf: (number: number) => string) {
    this.#requestOf = requestOf
    this.#connections = sockets.map((socket) => ({ socket, due: undefined }))
    for (const connection of this.#connections) {
      const { socket } = connection
      socket.on('data', (answer) =>
        this.#answered(connection, /^HTTP\/1.1 20[01]/.test(answer.toString('latin1'))),
      )
      socket.on('error', (error) => this.#failed(error))
      socket.on('close', () => this.#failed(new Error('the gateway closed a connection of a writer')))
    }
  }

  /** `rate`: requests a second, due whether or not earlier ones were answered; 0: as many as are answered. */
  write(count: number, rate: number): Promise<WriterReport> {
    const began = performance.now()
    const waits: number[] = []
    const idle = [...this.#connections]
    let sent = 0
    let refused = 0
    return new Promise((resolve, reject) => {
      const send = () => {
        const now = performance.now()
        const wanted = rate === 0 ? count : Math.min(count, Math.floor(((now - began) / 1000) * rate))
        while (sent < wanted && idle.length > 0) {
          const connection = idle.pop()!
          connection.due = rate === 0 ? now : began + ((sent + 1) / rate) * 1000
          sent++
          connection.socket.write(this.#requestOf(this.#next++))
        }
      }
      const clock = rate === 0 ? undefined : setInterval(send, 1)
      this.#failed = (error) => {
        clearInterval(clock)
        reject(error)
      }
      this.#answered = (connection, accepted) => {
        const now = performance.now()
        waits.push(now - connection.due!)
        if (!accepted) refused++
        idle.push(connection)
        if (waits.length < count) return send()
        clearInterval(clock)
        waits.sort((a, b) => a - b)
        const part = (share: number) => waits[Math.floor(share * (count - 1))]!
        resolve({ rate: (count / (now - began)) * 1000, p50: part(0.5), p99: part(0.99), refused })
      }
      send()
    })
  }

  close(): void {
    for (const { socket } of this.#connections) socket.removeAllListeners('close').destroy()
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}
