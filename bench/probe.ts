import { connect, type Socket } from 'node:net'

/** What a steady client saw while it looked. Milliseconds. */
export interface ProbeReport {
  answers: number
  /** From the moment a request was due, and this process awake to send it, to the first byte of its answer. */
  longestWait: number
  /** Of the same waits. 0: no answer yet. */
  p99: number
  /** The longest time in which no connection was answered. */
  longestGap: number
  /** How late this process itself was at worst: below it, figures say nothing about the gateway. */
  lateness: number
}

/**
 * A client that asks at a steady rate over a few connections, whether or not earlier answers have come:
 * a stall of the gateway shows in full, and not only for those requests that happened to be under way.
 */
export class SteadyProbe {
  readonly #lanes: Lane[]
  readonly #request: Buffer
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  #lastTick = 0
  #turn = 0
  #report: ProbeReport = emptyReport()
  #waits: number[] = []
  #lastAnswer = 0
  #failure: Error | undefined

  /** Waits until all connections are open. `interval` in ms between two requests over all of them. */
  static async open(port: number, path: string, connections: number, interval: number): Promise<SteadyProbe> {
    const lanes = await Promise.all(Array.from({ length: connections }, () => openLane(port)))
    return new SteadyProbe(lanes, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`, interval)
  }

  private constructor(lanes: Lane[], request: string, interval: number) {
    this.#lanes = lanes
    this.#request = Buffer.from(request)
    this.#interval = interval
    for (const lane of lanes) {
      lane.socket.on('data', () => this.#answered(lane))
      lane.socket.on('error', (error) => {
        this.#failure = error
      })
      lane.socket.on('close', () => {
        this.#failure ??= new Error('the gateway closed a connection of the probe')
      })
    }
    this.#lastTick = performance.now()
    this.#lastAnswer = this.#lastTick
    this.#timer = setInterval(() => this.#tick(), interval)
  }

  /** Forgets what was seen so far. */
  reset(): void {
    this.#report = emptyReport()
    this.#waits = []
    this.#lastAnswer = performance.now()
  }

  /** What was seen since the last reset, requests that still wait included. Throws when a connection was lost. */
  report(): ProbeReport {
    if (this.#failure !== undefined) throw this.#failure
    const now = performance.now()
    const waiting = this.#lanes.flatMap(({ due }) => due.slice(0, 1)).map((due) => now - due)
    return {
      ...this.#report,
      p99: this.#waits.toSorted((a, b) => a - b)[Math.floor(0.99 * (this.#waits.length - 1))] ?? 0,
      longestWait: Math.max(this.#report.longestWait, ...waiting),
      longestGap: Math.max(this.#report.longestGap, now - this.#lastAnswer),
    }
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { socket } of this.#lanes) socket.removeAllListeners('close').destroy()
  }

  #tick(): void {
    const now = performance.now()
    this.#report.lateness = Math.max(this.#report.lateness, now - this.#lastTick - this.#interval)
    this.#lastTick = now
    const lane = this.#lanes[this.#turn++ % this.#lanes.length]!
    lane.due.push(now)
    if (lane.due.length === 1) lane.socket.write(this.#request)
  }

  /** Answers of the upstream are small enough to come in one piece. */
  #answered(lane: Lane): void {
    const now = performance.now()
    const due = lane.due.shift()
    if (due === undefined) return
    this.#report.answers++
    this.#waits.push(now - due)
    this.#report.longestWait = Math.max(this.#report.longestWait, now - due)
    this.#report.longestGap = Math.max(this.#report.longestGap, now - this.#lastAnswer)
    this.#lastAnswer = now
    if (lane.due.length > 0) lane.socket.write(this.#request)
  }
}

/** A connection and the moments at which its unanswered requests were due; the first of them is under way. */
interface Lane {
  socket: Socket
  due: number[]
}

function openLane(port: number): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve({ socket, due: [] })
    })
  })
}

function emptyReport(): ProbeReport {
  return { answers: 0, longestWait: 0, p99: 0, longestGap: 0, lateness: 0 }
}
