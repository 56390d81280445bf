/** Makes the calls of policies with undici, which is loaded by the first of them. */
import type { Dispatcher } from 'undici'
import {
  type Call,
  type CallAnswer,
  type CallClient,
  CallError,
  type CallFailure,
  type CallOptions,
} from './policies/kit/calls.ts'
import type { Counter, Metrics } from './policies/kit/host.ts'
import { PolicyConnections } from './policy-connections.ts'
import type { PolicyBindingContext } from './proxy/exchange.ts'

/** Calls of one binding that are under way or wait for a connection. */
const mostPending = 1024
/** Bindings whose connections are kept; the one that was opened first makes room. */
const clientsKept = 1000
const defaultAnswer = 1024 * 1024

export class PolicyCalls {
  readonly #metrics: Metrics
  readonly #clients = new Map<string, Client>()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /** The same client for the same binding and options, also after a reload. */
  open(binding: PolicyBindingContext, options: CallOptions): CallClient {
    const key = JSON.stringify([binding, options])
    let client = this.#clients.get(key)
    if (client === undefined) {
      client = new Client(options, new Outcomes(this.#metrics, binding.policy))
      for (const [oldest, other] of this.#clients) {
        if (this.#clients.size < clientsKept) break
        this.#clients.delete(oldest)
        other.retire()
      }
      this.#clients.set(key, client)
    }
    return client
  }
}

/** Counts how calls ended. */
class Outcomes {
  readonly #counter: Counter
  readonly #policy: string
  readonly #slots = new Map<string, number>()

  constructor(metrics: Metrics, policy: string) {
    const help = 'Calls of policies to other services, by how they ended.'
    this.#counter = metrics.counter('sluice_policy_calls_total', help, ['policy', 'outcome'])
    this.#policy = policy
  }

  add(outcome: 'answered' | CallFailure): void {
    let slot = this.#slots.get(outcome)
    if (slot === undefined) {
      slot = this.#counter.slot([this.#policy, outcome])
      this.#slots.set(outcome, slot)
    }
    this.#counter.add(slot, 1)
  }
}

class Client implements CallClient {
  readonly #options: CallOptions
  readonly #outcomes: Outcomes
  readonly #connections: PolicyConnections
  #pending = 0

  constructor(options: CallOptions, outcomes: Outcomes) {
    this.#options = options
    this.#outcomes = outcomes
    this.#connections = new PolicyConnections(options)
  }

  async call(call: Call): Promise<CallAnswer> {
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), this.#options.timeout)
    this.#pending++
    try {
      if (this.#pending > mostPending) throw new CallError('overload', 'too many calls are under way')
      const answer = await this.#send(call, abort.signal)
      this.#outcomes.add('answered')
      return answer
    } catch (error) {
      const failed = error instanceof CallError ? error : failureOf(error, abort.signal)
      this.#outcomes.add(failed.failure)
      throw failed
    } finally {
      this.#pending--
      clearTimeout(timer)
    }
  }

  /** Calls that are under way end as they would have. */
  retire(): void {
    this.#connections.close()
  }

  async #send({ method, url, headers, body }: Call, signal: AbortSignal): Promise<CallAnswer> {
    const { request } = await import('undici')
    const answer = await request(url, {
      dispatcher: await this.#connections.to(url),
      method,
      signal,
      ...(headers && { headers }),
      ...(body !== undefined && { body }),
    })
    return { status: answer.statusCode, headers: answer.headers, body: await this.#read(answer.body) }
  }

  async #read(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
    const { largestAnswer = defaultAnswer } = this.#options
    const pieces: Buffer[] = []
    let size = 0
    for await (const piece of body as AsyncIterable<Buffer>) {
      size += piece.length
      // Leaving the loop breaks the connection off.
      if (size > largestAnswer)
        throw new CallError('too_large', `the answer is larger than ${largestAnswer} bytes`)
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }
}

/** A code such as ECONNREFUSED; a message could quote what was sent. */
function failureOf(error: unknown, signal: AbortSignal): CallError {
  const { name = 'Error', code } = error as { name?: string; code?: unknown }
  const reason = typeof code === 'string' ? code : name
  if (signal.aborted || reason.endsWith('_TIMEOUT'))
    return new CallError('timeout', 'it does not answer in time')
  return new CallError('unreachable', reason)
}
