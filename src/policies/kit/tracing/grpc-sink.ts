/** A server that takes batches by a call of gRPC: one connection, bounded in time and in bytes. */
import type { ClientHttp2Session } from 'node:http2'

export interface GrpcSinkOptions {
  /** Scheme, host and port: `http://127.0.0.1:4317`. With https the server's certificate is verified if `verify` says so. */
  readonly origin: string
  /** `/package.Service/Method`. */
  readonly path: string
  /** Beside those of gRPC; lower case. */
  readonly metadata: Readonly<Record<string, string>>
  /** Milliseconds for a whole call. */
  readonly timeout: number
  readonly verify: boolean
}

/** A status of gRPC other than OK. */
export class CallFailed extends Error {
  readonly status: number

  constructor(origin: string, status: number) {
    super(`${origin} answers with status ${status} of gRPC`)
    this.status = status
  }
}

/** Bytes of an answer that are read. */
const largestAnswer = 256 * 1024
const deadlineExceeded = 4
const unknown = 2

export class GrpcSink {
  readonly #options: GrpcSinkOptions
  #session: ClientHttp2Session | undefined

  constructor(options: GrpcSinkOptions) {
    this.#options = options
  }

  /**
   * Makes one call.
   * @returns the message of the answer
   * @throws CallFailed, or Error when there is no answer; neither quotes what was sent
   */
  async call(message: Buffer): Promise<Buffer> {
    const { origin, path, metadata, timeout } = this.#options
    const session = await this.#open()
    const stream = session.request({
      ...metadata,
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${Math.min(timeout, 99_999_999)}m`,
    })
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const timer = setTimeout(() => {
      reject(new CallFailed(origin, deadlineExceeded))
      // A server that leaves one call unanswered may be gone without a word: the next one gets a new connection.
      this.#drop(session)
    }, timeout)
    const pieces: Buffer[] = []
    let length = 0
    let status: number | undefined
    const read = (fields: Record<string, unknown>) => {
      const value = fields['grpc-status']
      if (value !== undefined) status = Number(value)
    }
    stream.on('response', (fields) => {
      read(fields)
      if (fields[':status'] !== 200) status ??= unknown
    })
    stream.on('trailers', read)
    stream.on('data', (piece: Buffer) => {
      length += piece.length
      if (length > largestAnswer) this.#drop(session)
      else pieces.push(piece)
    })
    stream.on('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`${origin} cannot be reached (${error.code ?? error.name})`))
    })
    stream.on('close', () => {
      if (status === 0) resolve(Buffer.concat(pieces).subarray(5))
      else if (status !== undefined) reject(new CallFailed(origin, status))
      else reject(new Error(`${origin} ends the call without a status`))
    })
    stream.end(framed(message))
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  async #open(): Promise<ClientHttp2Session> {
    const known = this.#session
    if (known !== undefined && !known.closed && !known.destroyed) return known
    // Whoever reports over HTTP has no need of it.
    const { connect } = await import('node:http2')
    const { origin, verify } = this.#options
    const session = connect(origin, { rejectUnauthorized: verify })
    this.#session = session
    session.on('error', () => this.#drop(session))
    session.on('goaway', () => session.close())
    session.unref()
    return session
  }

  #drop(session: ClientHttp2Session): void {
    session.destroy()
    if (this.#session === session) this.#session = undefined
  }
}

/** Not compressed, with its length in front. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}
