/** HTTP towards a registry: answers that are bounded in size and time, and failures in words without secrets. */
import type { Agent, Dispatcher } from 'undici'

export interface ClientOptions {
  /** Milliseconds. */
  connectTimeout: number
  /** Of the certificates that are trusted, in PEM; absent: those of the system. */
  ca?: string
  /** Default: yes. */
  verify?: boolean
  /** To one server at a time; further questions wait. Default: as many as there are questions. */
  connections?: number
}

export interface Question {
  /** With scheme, host, path and query. */
  url: string
  method?: 'GET' | 'POST'
  headers?: Record<string, string>
  body?: string
  /** Milliseconds to the head of the answer; its body may take as long again. */
  timeout: number
  signal: AbortSignal
}

export interface JsonAnswer {
  status: number
  headers: Dispatcher.ResponseData['headers']
  /** Undefined when the body is not JSON. */
  value: unknown
}

export interface StreamReader {
  /** The answer has begun. */
  begun(): void
  /** Throws to give the answer up. */
  line(text: string): void
}

/** The question was in vain. The message is for logs: it names no secret. */
export class RegistryError extends Error {}

/** More than any registry has to say about a service, or about a namespace. */
const mostBytes = 16 * 1024 * 1024

export class RegistryClient {
  readonly #options: ClientOptions
  #agent: Promise<Agent> | undefined
  #closed = false

  constructor(options: ClientOptions) {
    this.#options = options
  }

  async json(question: Question): Promise<JsonAnswer> {
    const deadline = AbortSignal.any([question.signal, AbortSignal.timeout(2 * question.timeout)])
    try {
      const { statusCode, headers, body } = await this.#ask(
        { ...question, signal: deadline },
        question.timeout,
      )
      return { status: statusCode, headers, value: parse(await textOf(body)) }
    } catch (error) {
      throw problemOf(error)
    }
  }

  /**
   * Hands over each line of an answer of any length, without its line feed.
   * @param pause milliseconds without a byte after which the answer is given up
   * @returns the status; unless it is 200, the reader heard nothing
   */
  async lines(question: Question, pause: number, reader: StreamReader): Promise<number> {
    try {
      const { statusCode, body } = await this.#ask(question, pause)
      if (statusCode !== 200) {
        await body.dump()
        return statusCode
      }
      reader.begun()
      const lines = new LineReader((line) => reader.line(line))
      for await (const chunk of body as AsyncIterable<Buffer>) lines.read(chunk)
      lines.end()
      return statusCode
    } catch (error) {
      throw problemOf(error)
    }
  }

  /** Ends everything that is under way. */
  close(): void {
    this.#closed = true
    this.#agent?.then((agent) => agent.destroy())
  }

  async #ask(
    { url, method = 'GET', headers, body, timeout, signal }: Question,
    bodyTimeout: number,
  ): Promise<Dispatcher.ResponseData> {
    const { request } = await import('undici')
    this.#agent ??= this.#open()
    const dispatcher = await this.#agent
    if (this.#closed) throw new RegistryError('closed')
    return request(url, {
      dispatcher,
      method,
      signal,
      headers: { accept: 'application/json', ...headers },
      ...(body !== undefined && { body }),
      headersTimeout: timeout,
      bodyTimeout,
    })
  }

  /** Loaded by the first question, because it takes its time. */
  async #open(): Promise<Agent> {
    const { Agent } = await import('undici')
    const { connectTimeout, ca, verify = true, connections } = this.#options
    return new Agent({
      ...(connections !== undefined && { connections }),
      connect: { timeout: connectTimeout, rejectUnauthorized: verify, ...(ca !== undefined && { ca }) },
    })
  }
}

/** Cuts a stream into lines, wherever its chunks begin and end. */
class LineReader {
  readonly #take: (line: string) => void
  readonly #decoder = new TextDecoder()
  /** Of the line that has begun. */
  #parts: string[] = []
  #length = 0

  constructor(take: (line: string) => void) {
    this.#take = take
  }

  read(chunk: Buffer): void {
    const [first = '', ...more] = this.#decoder.decode(chunk, { stream: true }).split('\n')
    this.#add(first)
    for (const part of more) {
      this.end()
      this.#add(part)
    }
  }

  end(): void {
    const line = this.#parts.join('')
    this.#parts = []
    this.#length = 0
    if (line.trim() !== '') this.#take(line)
  }

  #add(part: string): void {
    this.#length += part.length
    if (this.#length > mostBytes) throw new RegistryError('an answer that is too large')
    this.#parts.push(part)
  }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > mostBytes) throw new RegistryError('an answer that is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function problemOf(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  const { name, code, cause } = error as NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException }
  if (name === 'TimeoutError' || code?.endsWith('_TIMEOUT')) return new RegistryError('no answer in time')
  return new RegistryError(`the connection failed (${cause?.code ?? code ?? name})`)
}
