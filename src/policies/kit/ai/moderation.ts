/** What clients and models say, judged by a service for that. */

import { Type } from '../../../config/type.ts'
import type { Exchange, Verdict } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'
import { type ModelCall, modelCall } from './call.ts'
import { denial, denied } from './denial.ts'
import { bytes } from './json-request.ts'
import type { Reviewer, StreamReview } from './review.ts'
import { MarkedStream } from './risk-level.ts'
import { type TurnRole, textsBy } from './turns.ts'

export interface Judgement {
  /** How bad it is, in the words of the service. */
  readonly level: string
  /** What the client is told in place of it; absent: it may pass. */
  readonly denial?: string
}

export interface Moderator {
  /** @throws Error when nobody knows; its message is for the client */
  judge(text: string, whose: 'request' | 'response', exchange: Exchange): Promise<Judgement>
}

export interface ModerationConfig {
  readonly check_request: boolean
  readonly check_response: boolean
  readonly request_check_roles: readonly TurnRole[]
  readonly request_check_mode: 'last' | 'all'
  readonly stream_check_mode: 'realtime' | 'final_packet'
  readonly stream_check_cache_size: number
  readonly stream_check_interval: number
  readonly deny_code: number
  readonly fail_mode: FailMode
}

type FailMode = 'skip' | 'warn' | 'error'

export const failMode = Type.Enum(['skip', 'warn', 'error'], {
  default: 'skip',
  description:
    'What becomes of requests that are none to a language model: they pass, with a line in the log or without, or are refused.',
})

export const denyCode = Type.Integer({
  minimum: 200,
  maximum: 599,
  default: 200,
  description: 'Status of what is said in place of something denied.',
})

/** @param roles that can be checked */
export const moderationFields = (
  roles: readonly TurnRole[],
  defaults: { roles: TurnRole[]; mode: 'last' | 'all' },
) => ({
  check_request: Type.Boolean({ default: true, description: 'Judge what clients say.' }),
  check_response: Type.Boolean({ default: false, description: 'Judge what models say.' }),
  request_check_roles: Type.Array(Type.Enum([...roles]), {
    minItems: 1,
    uniqueItems: true,
    default: defaults.roles,
    description: 'Whose messages are judged. A role that there is not is that of a user.',
  }),
  request_check_mode: Type.Enum(['last', 'all'], {
    default: defaults.mode,
    description:
      'All messages of these roles, or those behind the last one of another; always all of the system.',
  }),
  stream_check_mode: Type.Enum(['realtime', 'final_packet'], {
    default: 'final_packet',
    description:
      'Of a stream, judge pieces as they come and end it, or the whole when it has gone out, with `risk_level` in its last event.',
  }),
  stream_check_cache_size: Type.Integer({
    minimum: 1,
    default: 128,
    description: 'Characters of a stream that are judged at once with `realtime`.',
  }),
  stream_check_interval: Type.Number({
    minimum: 0.1,
    default: 3,
    description: 'Seconds after which fewer are judged.',
  }),
  deny_code: denyCode,
  deny_message: Type.Optional(Type.String({ description: 'What is said in place of something denied.' })),
  fail_mode: failMode,
})

/** What becomes of a request that a policy for language models cannot handle. */
export function unsupported(
  policy: string,
  mode: FailMode,
  log: PolicyHost['log'],
  reason: string,
  refusal: Verdict,
): Verdict | undefined {
  if (mode === 'warn') log.warn({ reason }, `${policy} did not check a request`)
  return mode === 'error' ? refusal : undefined
}

/** The call that `ai-proxy` has read, or what becomes of a request without one. */
export function callFor(
  policy: string,
  mode: FailMode,
  log: PolicyHost['log'],
  exchange: Exchange,
): { call: ModelCall } | { refusal: Verdict | undefined } {
  const call = modelCall(exchange)
  if (call === undefined) {
    const body = `no ai instance picked, ${policy} plugin must be used with ai-proxy or ai-proxy-multi plugin`
    return { refusal: unsupported(policy, mode, log, 'no language model is asked', { status: 500, body }) }
  }
  if (call.protocol === 'passthrough') {
    const body = 'unsupported protocol: passthrough'
    return { refusal: unsupported(policy, mode, log, body, { status: 500, body }) }
  }
  return { call }
}

export class Moderation {
  readonly #policy: string
  readonly #config: ModerationConfig
  readonly #host: Pick<PolicyHost, 'log' | 'now'>
  readonly #moderator: Moderator

  constructor(
    policy: string,
    config: ModerationConfig,
    host: Pick<PolicyHost, 'log' | 'now'>,
    moderator: Moderator,
  ) {
    this.#policy = policy
    this.#config = config
    this.#host = host
    this.#moderator = moderator
  }

  /** Of a policy. */
  async request(exchange: Exchange): Promise<Verdict | undefined> {
    const { fail_mode: mode, check_request: checks, check_response: reviews } = this.#config
    const found = callFor(this.#policy, mode, this.#host.log, exchange)
    if ('refusal' in found) return found.refusal
    const { call } = found
    if (reviews) call.reviewers.push(this.#reviewer(exchange, call))
    if (!checks) return undefined
    const { request_check_roles: roles, request_check_mode: which } = this.#config
    const text = textsBy(call.body, call.protocol, roles, which).join(' ')
    return text === '' ? undefined : this.#verdict(text, 'request', exchange, call)
  }

  async #verdict(
    text: string,
    whose: 'request' | 'response',
    exchange: Exchange,
    call: ModelCall,
  ): Promise<Verdict | undefined> {
    try {
      const message = await this.#judged(text, whose, exchange)
      return message === undefined ? undefined : denied(call, this.#config.deny_code, message)
    } catch (error) {
      const reason = (error as Error).message
      this.#host.log.error({ reason }, `${this.#policy} cannot judge a ${whose}`)
      return { status: 500, body: reason }
    }
  }

  async #judged(
    text: string,
    whose: 'request' | 'response',
    exchange: Exchange,
  ): Promise<string | undefined> {
    const { level, denial: message } = await this.#moderator.judge(text, whose, exchange)
    exchange.told = { ...exchange.told, llm_content_risk_level: bytes(level) }
    return message
  }

  #reviewer(exchange: Exchange, call: ModelCall): Reviewer {
    return {
      whole: async (text) => (text === '' ? undefined : this.#verdict(text, 'response', exchange, call)),
      stream: () =>
        this.#config.stream_check_mode === 'realtime'
          ? this.#soon(exchange, call)
          : new MarkedStream(call.protocol, () => this.#levelOf(exchange, call)),
    }
  }

  /** Undefined: nobody knows. */
  async #levelOf(exchange: Exchange, call: ModelCall): Promise<string | undefined> {
    const text = call.answer?.text ?? ''
    try {
      if (text !== '') await this.#judged(text, 'response', exchange)
    } catch (error) {
      const reason = (error as Error).message
      this.#host.log.error({ reason }, `${this.#policy} cannot judge a response`)
      return undefined
    }
    const level = exchange.told?.llm_content_risk_level ?? 'none'
    exchange.told = { ...exchange.told, llm_content_risk_level: level }
    return level
  }

  /** Judges pieces before they go out. */
  #soon(exchange: Exchange, call: ModelCall): StreamReview {
    const { stream_check_cache_size: size, stream_check_interval: interval } = this.#config
    let pending = ''
    let checkedAt = this.#host.now()

    const check = async (): Promise<Buffer | null> => {
      const text = pending
      pending = ''
      checkedAt = this.#host.now()
      if (text === '') return null
      try {
        const message = await this.#judged(text, 'response', exchange)
        if (message === undefined) return null
        // Nothing can be said within the frames of AWS that this could be told from.
        if (call.protocol === 'bedrock-converse') throw new StreamDenied(message)
        review.isOver = true
        return Buffer.from(denial(call, message))
      } catch (error) {
        if (error instanceof StreamDenied) throw error
        this.#host.log.error(
          { reason: (error as Error).message },
          `${this.#policy} cannot judge a part of a response`,
        )
        return null
      }
    }

    const review = {
      isOver: false,
      async write(piece: Buffer): Promise<Buffer | null> {
        pending += call.answer?.takeText() ?? ''
        if (call.answer?.isCut) throw new Error('an answer is longer than what can be judged')
        const isDue = pending.length >= size || now() - checkedAt >= interval * 1000 || isLast(piece)
        return (isDue ? await check() : null) ?? piece
      },
      end: check,
    }
    const { now } = this.#host
    return review
  }
}

/** Breaks the stream off. */
class StreamDenied extends Error {}

/** Whether a stream ends with it, in any of the formats. */
function isLast(piece: Buffer): boolean {
  return /\[DONE\]|message_stop|response\.completed/.test(piece.toString('latin1'))
}
