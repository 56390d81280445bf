/**
 * Requests to a control plane: bounded in time and size, never redirected, over TLS with what the registration trusts.
 * Several URLs are tried in turn.
 */
import type { Dispatcher } from 'undici'
import { maxMessageBytes } from './protocol/messages.ts'

export interface ConnectionOptions {
  /** Base URLs, with https. */
  urls: readonly string[]
  /** PEM; absent: the system's authorities. */
  ca?: string
  /** PEM. */
  client?: { certificate: string; key: string }
  /** URL of an HTTP proxy that connects through to the control plane. */
  proxy?: string
  serverName?: string
  /** Default: true. False where a hash vouches for what comes. */
  verify?: boolean
}

export interface ControlPlaneRequest {
  method: 'GET' | 'POST'
  /** With its query. */
  path: string
  body?: object
  headers?: Record<string, string>
  /** Bytes of the answer. */
  maxBytes: number
  /** Milliseconds until the head of the answer. */
  headTimeout: number
  /** Milliseconds for all of it. */
  timeout: number
  signal?: AbortSignal
}

export interface ControlPlaneAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** Of the control plane that answered, without a path. */
  url: string
}

/** There is no complete answer. The message names the URL and the reason. */
export class ConnectionFailure extends Error {
  override readonly name = 'ConnectionFailure'
  /** A code such as ECONNREFUSED or CERT_HAS_EXPIRED. */
  readonly code: string

  constructor(url: string, code: string, reason: string) {
    super(`${url}: ${reason}`)
    this.code = code
  }
}

/** Of everything but a bundle. */
export const messageBounds = { maxBytes: maxMessageBytes, headTimeout: 30_000, timeout: 30_000 }

const connectTimeoutMs = 10_000
/** Silence inside an answer. */
const silenceMs = 10_000
const maxHeadBytes = 16 * 1024

export class Connection {
  readonly #options: ConnectionOptions
  readonly #urls: readonly string[]
  #current = 0
  #dispatcher: Promise<Dispatcher> | undefined
  #localAddress = ''

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#urls = options.urls.map((url) => url.replace(/\/+$/, ''))
  }

  get count(): number {
    return this.#urls.length
  }

  /** Of this machine, on the newest connection; empty: there was none yet, or it goes through a proxy. */
  get localAddress(): string {
    return this.#localAddress
  }

  /** Asks the URL that answered last. After a failure the next one is asked the next time. @throws ConnectionFailure */
  async ask(request: ControlPlaneRequest): Promise<ControlPlaneAnswer> {
    const url = this.#urls[this.#current]!
    try {
      const answer = await this.#send(url, request)
      if (answer.status >= 500) this.skip()
      return answer
    } catch (error) {
      this.skip()
      throw error
    }
  }

  /** Goes on to the next URL. */
  skip(): void {
    this.#current = (this.#current + 1) % this.#urls.length
  }

  async close(): Promise<void> {
    const dispatcher = await this.#dispatcher
    this.#dispatcher = undefined
    await dispatcher?.destroy()
  }

  async #send(url: string, request: ControlPlaneRequest): Promise<ControlPlaneAnswer> {
    const { method, path, body, headers, maxBytes, headTimeout, timeout, signal } = request
    const inTime = AbortSignal.timeout(timeout)
    try {
      const { request: send } = await import('undici')
      this.#dispatcher ??= this.#open()
      const answer = await send(`${url}${path}`, {
        method,
        dispatcher: await this.#dispatcher,
        headers: {
          accept: 'application/json',
          ...(body && { 'content-type': 'application/json' }),
          ...headers,
        },
        headersTimeout: headTimeout,
        bodyTimeout: silenceMs,
        signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const { statusCode: status, headers: fields } = answer
      return { status, headers: fields, body: await collect(answer.body, fields, maxBytes), url }
    } catch (error) {
      throw failureOf(url, error)
    }
  }

  async #open(): Promise<Dispatcher> {
    const { Agent, buildConnector, ProxyAgent } = await import('undici')
    const { ca, client, proxy, serverName, verify = true } = this.#options
    const tls = {
      rejectUnauthorized: verify,
      minVersion: 'TLSv1.2' as const,
      timeout: connectTimeoutMs,
      ...(ca !== undefined && { ca }),
      ...(client !== undefined && { cert: client.certificate, key: client.key }),
      ...(serverName !== undefined && { servername: serverName }),
    }
    const common = { maxHeaderSize: maxHeadBytes, allowH2: false }
    if (proxy === undefined) {
      const open = buildConnector({ ...tls, allowH2: false })
      const connect: typeof open = (target, done) =>
        open(target, (...result) => {
          this.#localAddress = result[1]?.localAddress ?? ''
          done(...result)
        })
      return new Agent({ ...common, connect })
    }
    return new ProxyAgent({ ...common, uri: proxy, requestTls: tls })
  }
}

class TooLarge extends Error {}

async function collect(
  stream: AsyncIterable<Buffer> & { destroy(): unknown },
  headers: ControlPlaneAnswer['headers'],
  maxBytes: number,
): Promise<Buffer> {
  const announced = Number(headers['content-length'] ?? 0)
  const chunks: Buffer[] = []
  let size = 0
  if (announced > maxBytes) {
    stream.destroy()
    throw new TooLarge(`the answer has ${announced} bytes, of ${maxBytes} allowed`)
  }
  for await (const chunk of stream) {
    size += chunk.length
    if (size > maxBytes) throw new TooLarge(`the answer has more than the ${maxBytes} bytes that are allowed`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function failureOf(url: string, error: unknown): ConnectionFailure {
  if (error instanceof TooLarge) return new ConnectionFailure(url, 'too-large', error.message)
  const cause = error as {
    name?: string
    code?: string
    message?: string
    cause?: { code?: string; message?: string }
  }
  if (cause.name === 'TimeoutError')
    return new ConnectionFailure(url, 'timeout', 'it does not answer in time')
  const code = cause.code ?? cause.cause?.code ?? cause.name ?? 'unknown'
  return new ConnectionFailure(url, code, explanations[code] ?? code)
}

/** What is behind the codes that operators meet. */
const explanations: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ECONNRESET: 'it closed the connection (ECONNRESET)',
  ENOTFOUND: 'the name does not resolve (ENOTFOUND)',
  UND_ERR_CONNECT_TIMEOUT: 'it cannot be reached in time',
  UND_ERR_HEADERS_TIMEOUT: 'it does not answer in time',
  UND_ERR_BODY_TIMEOUT: 'it stopped within its answer',
  UND_ERR_SOCKET: 'it closed the connection within its answer',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its answer is incomplete',
  CERT_HAS_EXPIRED: 'its certificate has expired (CERT_HAS_EXPIRED)',
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate does not come from an authority that is trusted here (SELF_SIGNED_CERT_IN_CHAIN)',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'its certificate does not come from an authority that is trusted here (DEPTH_ZERO_SELF_SIGNED_CERT)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate does not come from an authority that is trusted here (UNABLE_TO_VERIFY_LEAF_SIGNATURE)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate does not come from an authority that is trusted here (UNABLE_TO_GET_ISSUER_CERT_LOCALLY)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name (ERR_TLS_CERT_ALTNAME_INVALID)',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a client certificate',
}
