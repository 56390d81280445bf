/** An origin on a real socket: records every byte, reads it strictly, and answers as the running script says. */
import net from 'node:net'
import { type Finding, type Message, MessageReader } from './message-reader.ts'

export interface UpstreamScript {
  onConnect?(connection: UpstreamConnection): void
  /** The head of a request is there; its body may still be on its way. */
  onHead?(request: ReceivedRequest, connection: UpstreamConnection): void
  /** A request is complete. Absent: it is echoed, see `echo`. */
  onRequest?(request: ReceivedRequest, connection: UpstreamConnection): void
  onTunnel?(chunk: Buffer, connection: UpstreamConnection): void
  /** Keep our sending side open when the gateway closes its own. */
  keepOpenOnEnd?: boolean
}

export interface ReceivedRequest extends Message {
  connection: UpstreamConnection
  /** 1 for the first request of that method and target since `reset`. */
  occurrence: number
  /** How many requests this connection had carried before. */
  earlierOnConnection: number
}

/** Answers carry `X-Origin`, so that a test can tell them from the gateway's own. */
export function originAnswer(
  status: number | string,
  body: string | Buffer = '',
  ...fields: string[]
): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  const line = typeof status === 'number' ? `HTTP/1.1 ${status} Scripted` : status
  const head = [line, 'X-Origin: 1', `Content-Length: ${bytes.length}`, ...fields].join('\r\n')
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), bytes])
}

export class UpstreamConnection {
  readonly reader: MessageReader
  readonly socket: net.Socket
  readonly requests: ReceivedRequest[] = []
  closed: 'fin' | 'reset' | 'local' | null = null
  receivedBytes = 0
  tunnel: Buffer | null = null

  constructor(socket: net.Socket, upstream: ScriptedUpstream) {
    this.socket = socket
    const { script } = upstream
    let current: ReceivedRequest | null = null
    this.reader = new MessageReader('request', {
      onHead: (message) => {
        current = Object.assign(message, {
          connection: this,
          occurrence: upstream.count(message),
          earlierOnConnection: this.requests.length,
        })
        this.requests.push(current)
        if (!isProbe(message)) script().onHead?.(current, this)
      },
      onComplete: () => {
        const request = current!
        const answer = isProbe(request) ? undefined : script().onRequest
        if (answer) answer.call(script(), request, this)
        else this.echo(request)
      },
    })
    socket.on('data', (chunk: Buffer) => {
      this.receivedBytes += chunk.length
      if (this.tunnel) {
        this.tunnel = Buffer.concat([this.tunnel, chunk])
        script().onTunnel?.(chunk, this)
        return
      }
      this.reader.push(chunk)
      if (this.reader.state === 'lost') this.send(originAnswer(400, 'unreadable', 'Connection: close')).end()
    })
    socket.on('end', () => {
      this.closed ??= 'fin'
      if (!script().keepOpenOnEnd) socket.end()
    })
    socket.on('error', () => {
      this.closed = 'reset'
    })
    socket.on('close', () => {
      this.closed ??= 'local'
    })
  }

  send(bytes: string | Buffer): this {
    if (this.socket.writable)
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  end(): this {
    this.socket.end()
    return this
  }

  reset(): this {
    if (!this.socket.destroyed) this.socket.resetAndDestroy()
    return this
  }

  /** Switches to raw bytes, as after a 101. */
  openTunnel(): this {
    this.tunnel = Buffer.alloc(0)
    return this
  }

  echo(request: Message): this {
    const answer = originAnswer(200, `ok ${request.method} ${request.target} length=${request.bodyBytes}\n`)
    const headEnd = answer.indexOf('\r\n\r\n') + 4
    this.send(request.method === 'HEAD' ? answer.subarray(0, headEnd) : answer)
    const connection = request.fields.find((field) => field.lower === 'connection')?.value ?? ''
    const lasting =
      request.version === '1.1' ? !/\bclose\b/i.test(connection) : /\bkeep-alive\b/i.test(connection)
    return lasting ? this : this.end()
  }
}

export class ScriptedUpstream {
  private readonly server: net.Server
  private readonly open = new Set<UpstreamConnection>()
  private readonly counts = new Map<string, number>()
  private log: UpstreamConnection[] = []
  private current: UpstreamScript = {}
  port = 0

  constructor() {
    this.server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = new UpstreamConnection(socket, this)
      this.open.add(connection)
      this.log.push(connection)
      socket.on('close', () => this.open.delete(connection))
      this.current.onConnect?.(connection)
    })
  }

  script = (): UpstreamScript => this.current

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen({ port, host: '127.0.0.1' }, resolve)
    })
    this.port = (this.server.address() as net.AddressInfo).port
  }

  /** Forgets what was received, closes every connection so that pools start empty, and takes the next script. */
  async reset(script: UpstreamScript = {}): Promise<void> {
    const closing = [...this.open].map(({ socket }) => {
      socket.end()
      setTimeout(() => socket.destroy(), 20)
      return new Promise<void>((resolve) => socket.once('close', () => resolve()))
    })
    await Promise.all(closing)
    this.use(script)
    this.log = []
    this.counts.clear()
  }

  use(script: UpstreamScript): void {
    this.current = script
  }

  count(message: Message): number {
    const key = `${message.method} ${message.target}`
    const occurrence = (this.counts.get(key) ?? 0) + 1
    this.counts.set(key, occurrence)
    return occurrence
  }

  /** Connections since `reset` on which something arrived. */
  get connections(): UpstreamConnection[] {
    return this.log.filter((connection) => connection.receivedBytes > 0)
  }

  /** Requests since `reset`, probes left out. */
  get requests(): ReceivedRequest[] {
    return this.log.flatMap((connection) => connection.requests).filter((request) => !isProbe(request))
  }

  get findings(): Finding[] {
    return this.log.flatMap((connection) => connection.reader.findings)
  }

  async close(): Promise<void> {
    for (const { socket } of this.open) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/** Requests with which a test looks whether the pool is still sound. */
export const probePath = '/probe-'
function isProbe(message: Message): boolean {
  return message.target.startsWith(probePath)
}
