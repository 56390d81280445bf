/** The way to the control plane: requests that carry the registration's certificate, and how they fare. */
import type { Log } from '../telemetry/log.ts'
import {
  Connection,
  ConnectionFailure,
  type ControlPlaneAnswer,
  type ControlPlaneRequest,
} from './connection.ts'
import { messageIn, renewOver } from './platform.ts'
import { Refusal } from './protocol/refusal.ts'
import type { Registration } from './registration.ts'

export interface LinkOptions {
  registration: Registration
  /** URL. */
  proxy?: string
  log: Log
  /** Milliseconds since 1970. */
  clock: () => number
}

const longestRetryAfterMs = 300_000
/** Clocks further apart than this are told of. */
const notableSkew = 300

export class Link {
  readonly #options: LinkOptions
  readonly #log: Log
  readonly #ending = new AbortController()
  #registration: Registration
  #connection: Connection
  #connected = false
  #contact = 0
  #failure: string | undefined
  #failures = 0
  #skew = 0
  #skewTold = false

  constructor(options: LinkOptions) {
    this.#options = options
    this.#log = options.log
    this.#registration = options.registration
    this.#connection = this.#connect()
  }

  /** With the certificate that is shown. */
  get registration(): Registration {
    return this.#registration
  }

  /** Aborted when the agent stops. */
  get ending(): AbortSignal {
    return this.#ending.signal
  }

  /** How many URLs there are. */
  get count(): number {
    return this.#connection.count
  }

  /** From which the control plane was reached last; empty: not yet, or through a proxy. */
  get localAddress(): string {
    return this.#connection.localAddress
  }

  get standing() {
    return {
      connected: this.#connected,
      last_contact: this.#contact,
      ...(this.#failure !== undefined && { failure: this.#failure }),
      clock_skew: this.#skew,
      failures: this.#failures,
    }
  }

  /** Goes on to the next URL. */
  skip(): void {
    this.#connection.skip()
  }

  /** @throws ConnectionFailure; Rejected for statuses from 300 on; Refusal where it is too large; Asked */
  async send(request: ControlPlaneRequest): Promise<ControlPlaneAnswer> {
    const signals = [this.ending, ...(request.signal === undefined ? [] : [request.signal])]
    const { token } = this.#registration
    const headers = { ...request.headers, ...(token !== undefined && { 'control-plane-token': token }) }
    try {
      const answer = await this.#connection.ask({ ...request, headers, signal: AbortSignal.any(signals) })
      if (answer.status >= 300) throw new Rejected(answer)
      this.#reached(answer)
      return answer
    } catch (error) {
      if (this.ending.aborted) throw error
      const reason = request.signal?.reason
      if (reason instanceof Asked) throw reason
      this.#unreached(error as Error)
      // A size is what a bundle is refused for, and not only an answer that is missing.
      if (error instanceof ConnectionFailure && error.code === 'too-large')
        throw new Refusal('too-large', error.message)
      throw error
    }
  }

  /**
   * From here on with a new certificate; what is under way with the old one is given up.
   * @param replaced is called before that
   */
  async renew(replaced: () => void): Promise<void> {
    this.#registration = await renewOver(this.#connection, this.#registration)
    const old = this.#connection
    this.#connection = this.#connect()
    replaced()
    await old.close()
  }

  /** Gives up what is under way. */
  end(): void {
    this.#ending.abort()
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  #reached(answer: ControlPlaneAnswer): void {
    const now = this.#options.clock()
    if (!this.#connected) this.#log.info({ url: answer.url }, 'the control plane is reached')
    this.#connected = true
    this.#failure = undefined
    this.#contact = Math.floor(now / 1000)
    const date = Date.parse(String(answer.headers.date))
    if (Number.isNaN(date)) return
    this.#skew = Math.round((now - date) / 1000)
    if (Math.abs(this.#skew) < notableSkew) this.#skewTold = false
    else if (!this.#skewTold) {
      this.#skewTold = true
      this.#log.warn({ seconds: this.#skew }, 'this clock and the one of the control plane are far apart')
    }
  }

  #unreached({ message }: Error): void {
    this.#failures++
    this.#connected = false
    if (this.#failure === message) return
    this.#failure = message
    this.#log.warn(
      { reason: message },
      'the control plane is not reached: the gateway goes on with the configuration that it has',
    )
  }

  #connect(): Connection {
    const { sync, ca, certificate, key, serverName } = this.#registration
    const { proxy } = this.#options
    return new Connection({
      urls: sync,
      ca,
      client: { certificate, key },
      ...(proxy !== undefined && { proxy }),
      ...(serverName !== undefined && { serverName }),
    })
  }
}

/** A request was given up, because there is something else to ask for. */
export class Asked extends Error {}

/** The control plane answers with a status that is no success. */
export class Rejected extends Error {
  /** 0: it does not say. */
  readonly retryAfterMs: number
  /** The same request may do better later. */
  readonly mayPass: boolean

  constructor({ status, headers, body, url }: ControlPlaneAnswer) {
    super(`${url}: ${messageIn(body) ?? 'no reason is given'} (${status})`)
    this.mayPass = status >= 500 || status === 429
    const seconds = Number(headers['retry-after'])
    const isTold = (status === 429 || status === 503) && Number.isFinite(seconds) && seconds > 0
    this.retryAfterMs = isTold ? Math.min(longestRetryAfterMs, seconds * 1000) : 0
  }
}
