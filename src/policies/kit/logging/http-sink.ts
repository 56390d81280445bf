/** A server that takes batches over HTTP: bounded in time and in bytes, no redirects, kept alive between batches. */
import type { Agent } from 'undici'

export interface HttpSinkOptions {
  /** Milliseconds for a whole request. */
  timeout: number
  verify: boolean
  /** Milliseconds that an idle connection is kept. */
  keepAlive?: number
  /** Which statuses mean that the batch was taken. */
  accepts(status: number): boolean
}

/** Bytes of an answer that are read. */
const largestAnswer = 256 * 1024

/** A status that does not mean that the batch was taken. */
export class UnexpectedStatus extends Error {
  readonly status: number

  constructor(origin: string, status: number) {
    super(`${origin} answers ${status}`)
    this.status = status
  }
}

export class HttpSink {
  readonly #options: HttpSinkOptions
  #agent: Promise<Agent> | undefined

  constructor(options: HttpSinkOptions) {
    this.#options = options
  }

  /**
   * @returns the text of an answer that was accepted
   * @throws Error that names no more of the address than its origin: paths and queries may hold tokens
   */
  async post(url: URL, headers: Record<string, string | string[]>, body: string): Promise<string> {
    return (await this.#request('POST', url, headers, body)).toString()
  }

  /** The same for an answer that is no text. */
  postForBytes(url: URL, headers: Record<string, string | string[]>, body: string | Buffer): Promise<Buffer> {
    return this.#request('POST', url, headers, body)
  }

  async get(url: URL, headers: Record<string, string | string[]>): Promise<string> {
    return (await this.#request('GET', url, headers, null)).toString()
  }

  async #request(
    method: 'GET' | 'POST',
    url: URL,
    headers: Record<string, string | string[]>,
    body: string | Buffer | null,
  ): Promise<Buffer> {
    // Loading it takes longer than most starts.
    const { Agent, request } = await import('undici')
    const { timeout, verify, keepAlive = 60_000, accepts } = this.#options
    this.#agent ??= Promise.resolve(
      new Agent({
        connect: { rejectUnauthorized: verify, timeout },
        connections: 4,
        keepAliveTimeout: keepAlive,
        maxResponseSize: largestAnswer,
      }),
    )
    let status: number
    let bytes: Buffer
    try {
      const answer = await request(url, {
        method,
        headers,
        body,
        dispatcher: await this.#agent,
        signal: AbortSignal.timeout(timeout),
      })
      status = answer.statusCode
      bytes = Buffer.from(await answer.body.arrayBuffer())
    } catch (error) {
      throw new Error(`${url.origin} cannot be reached (${reasonOf(error)})`)
    }
    if (!accepts(status)) throw new UnexpectedStatus(url.origin, status)
    return bytes
  }
}

/** A code such as ECONNREFUSED; a message could quote what was sent. */
export function reasonOf(error: unknown): string {
  const { name, code } = error as { name?: string; code?: unknown }
  if (name === 'TimeoutError') return 'it does not answer in time'
  return typeof code === 'string' ? code : (name ?? 'unknown error')
}
