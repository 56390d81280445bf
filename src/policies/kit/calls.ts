/** Calls of policies to other services: bounded in time, in bytes and in connections; no redirect is followed. */

export interface CallOptions {
  /** Milliseconds for a whole call, from looking up the name to the last byte of the answer. */
  readonly timeout: number
  /** Check the certificate of the service. Default: true. */
  readonly verify?: boolean
  /** Keep connections open for further calls. Default: true. */
  readonly keepAlive?: boolean
  /** Milliseconds that a connection is kept for. Default: 60 000. */
  readonly keepAliveTimeout?: number
  /** Largest answer, in bytes. Default: 1 MiB. */
  readonly largestAnswer?: number
  /** Default: none. */
  readonly proxies?: CallProxies
}

/** HTTP proxies, by the scheme of the URL that is called. */
export interface CallProxies {
  readonly http?: CallProxy
  readonly https?: CallProxy
  /** Hosts, separated by commas, that are called without, with all that are under them; `*`: all. */
  readonly except?: string
}

export interface CallProxy {
  readonly url: string
  /** Value of Proxy-Authorization. */
  readonly authorization?: string
}

export interface Call {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** A string is sent in UTF-8. */
  readonly body?: string | Buffer
}

export interface CallAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/** Connections are those of one binding, and outlive a reload that leaves it as it is. */
export interface CallClient {
  /** @throws CallError when there is no complete answer */
  call(call: Call): Promise<CallAnswer>
}

export type CallFailure = 'timeout' | 'unreachable' | 'too_large' | 'overload' | 'dry_run'

/** Its message names the reason and nothing that was sent. */
export class CallError extends Error {
  readonly failure: CallFailure

  constructor(failure: CallFailure, message: string) {
    super(message)
    this.failure = failure
  }
}

/** The body as JSON; undefined when it is none. */
export function jsonOf({ body }: CallAnswer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

/** What is wrong with a URL that a configuration names as a service, as the rest of a sentence; undefined: nothing. */
export function serviceUrlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is no URL'
  const { protocol, hash } = new URL(text)
  if (protocol !== 'http:' && protocol !== 'https:') return 'has to begin with http:// or https://'
  return hash === '' ? undefined : 'must not have a fragment'
}
