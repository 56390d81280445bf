/** A program for one client: what the client says goes to its standard input, what it says to the client, line by line. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { PolicyLog, Relay } from '../kit/index.ts'
import { guard } from './guard.ts'
import { Lines } from './lines.ts'
import { graceMs, killGroup } from './process-group.ts'

export interface SessionOptions {
  readonly command: string
  readonly args: readonly string[]
  /** Where the client sends its messages, without the id. */
  readonly endpoint: string
  /** Who opened it; empty: nobody that is known. */
  readonly owner: string
  readonly log: PolicyLog
  /** Whether the configuration still has it. */
  readonly isWanted: () => boolean
  /** Told once, when the program is gone. */
  readonly gone: (session: Session) => void
}

/** Characters of a line. */
const longestLine = 4 * 1024 * 1024
/** Bytes of what waits for the client, and of what waits for the program. */
const mostWaiting = 4 * 1024 * 1024
const mostUnread = 4 * 1024 * 1024
/** Lines of what it says beside, for each session, and characters of each. */
const mostLogged = 100
const longestLogged = 500
/** Milliseconds between two looks at the configuration. */
const lookEvery = 1000
/** Looks between two pings. */
const looksOfPing = 30
/** What of the environment of the gateway, which may hold secrets, a program gets to see. */
const environment = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TZ']

export class Session implements Relay {
  readonly head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n'
  readonly id = randomUUID()
  readonly owner: string
  readonly #options: SessionOptions
  readonly #child: ChildProcessWithoutNullStreams
  readonly #timer: NodeJS.Timeout
  #waiting: Buffer[] = []
  #size = 0
  /** Wakes up who waits for more. */
  #wake: (() => void) | null = null
  #isOver = false
  #isRead = false
  #looks = 0
  #pings = 0

  /** @throws Error when the program cannot be started */
  static async open(options: SessionOptions): Promise<Session> {
    const { command, args } = options
    const known = environment.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    })
    // A group of its own, so that it ends together with whatever it starts.
    const child = spawn(command, args, {
      shell: false,
      detached: true,
      stdio: 'pipe',
      env: Object.fromEntries(known),
    })
    if (child.pid !== undefined) guard.watch(child.pid)
    await once(child, 'spawn')
    return new Session(child, options)
  }

  constructor(child: ChildProcessWithoutNullStreams, options: SessionOptions) {
    this.#child = child
    this.#options = options
    this.owner = options.owner
    this.#push('endpoint', `${options.endpoint}?sessionId=${this.id}`)
    this.#ping()
    this.#timer = setInterval(() => this.#look(), lookEvery)
    this.#timer.unref()
    this.#listen()
    child.on('exit', () => this.#exited())
    child.on('close', () => this.#finish())
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** A message of the client, in one line. @returns whether there was room for it */
  send(message: string): boolean {
    const { stdin } = this.#child
    if (this.#isOver || !stdin.writable || stdin.writableLength > mostUnread) return false
    stdin.write(`${message}\n`)
    return true
  }

  async read(): Promise<Buffer | null> {
    this.#isRead = true
    while (this.#waiting.length === 0 && !this.#isOver)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    if (this.#waiting.length === 0) return null
    const pieces = Buffer.concat(this.#waiting)
    this.#waiting = []
    this.#size = 0
    this.#child.stdout.resume()
    return pieces
  }

  /** A client that says nothing more can do nothing with a program. */
  clientEnded(): void {
    this.#waiting = []
    this.#finish()
  }

  close(): void {
    this.#finish()
  }

  /** The stream ends, and the program with it: it is asked to, and then made to. */
  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearInterval(this.#timer)
    this.#wake?.()
    const child = this.#child
    child.stdin.end()
    // Nobody reads it any more, and a full pipe would hold the program back from its end.
    child.stdout.resume()
    if (child.exitCode !== null || child.signalCode !== null) return
    const timer = setTimeout(() => killGroup(child.pid!), graceMs)
    timer.unref()
    child.once('exit', () => clearTimeout(timer))
  }

  /** What it started does not stay behind. */
  #exited(): void {
    const program = this.#child.pid!
    killGroup(program)
    guard.forget(program)
    this.#options.gone(this)
  }

  #fail(reason: string): void {
    if (this.#isOver) return
    this.#options.log.warn({ session: this.id, reason }, 'a program of mcp-bridge is ended')
    this.#finish()
    killGroup(this.#child.pid!)
  }

  #listen(): void {
    const { stdin, stdout, stderr } = this.#child
    const said = new Lines(longestLine, (line) => this.#push('message', line))
    stdout.on('data', (piece: Buffer) => {
      if (this.#isOver) return
      if (!said.write(piece)) this.#fail('the line is too long')
      else if (this.#size > mostWaiting) stdout.pause()
    })
    let logged = 0
    const beside = new Lines(longestLogged, (line) => {
      if (logged++ >= mostLogged) return
      const { id: session } = this
      this.#options.log.info({ session, line: line.slice(0, longestLogged) }, 'a program of mcp-bridge says')
    })
    stderr.on('data', (piece: Buffer) => beside.write(piece))
    for (const stream of [stdin, stdout, stderr]) stream.on('error', () => {})
    this.#child.on('error', () => {})
  }

  #look(): void {
    // The client may have gone before it had an answer, or the policy stand in the shadow.
    if (!this.#isRead || !this.#options.isWanted()) this.#finish()
    else if (++this.#looks % looksOfPing === 0) this.#ping()
  }

  #ping(): void {
    // A client that does not read gets no more of them.
    if (this.#size > mostWaiting) return
    this.#push('message', `{"jsonrpc": "2.0","method": "ping","id":"ping:${++this.#pings}"}`)
  }

  #push(type: string, data: string): void {
    const piece = Buffer.from(`event: ${type}\ndata: ${data}\n\n`)
    this.#waiting.push(piece)
    this.#size += piece.length
    this.#wake?.()
  }
}
