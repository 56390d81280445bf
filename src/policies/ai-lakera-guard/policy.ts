import {
  callFor,
  denial,
  denied,
  denyCode,
  failMode,
  isJson,
  type ModelCall,
  messagesOf,
  type Reviewer,
  type StreamReview,
} from '../kit/ai/index.ts'
import { definePolicy, jsonOf, openInApisix, Type, type Verdict } from '../kit/index.ts'

const keepAlive = Buffer.from(':\n\n')

/** Bytes of a stream that is held back until it is known. */
const largestStream = 16 * 1024 * 1024

interface Flags {
  readonly flagged: boolean
  readonly detectors: readonly string[]
}

/** Configuration and answers of APISIX's `ai-lakera-guard`. */
export default definePolicy({
  name: 'ai-lakera-guard',
  summary: 'Has Lakera Guard look at what clients and language models say, and denies what it flags.',
  details:
    'Stands beside `ai-proxy` or `ai-proxy-multi`. What is denied is answered with `deny_code` and the message in the format ' +
    'of the client, as if the model had said it. With `direction: output` or `both`, an answer waits until it has been ' +
    'looked at as a whole; of a stream the client gets comments meanwhile, unless `action` is `alert` and `fail_open` is ' +
    'on. When Lakera does not answer, or a stream ends without telling what it cost, `fail_open` decides. What was flagged ' +
    'is logged with the names of the detectors, not with what was said.',
  stage: 'authorize',
  priority: 1028,
  config: Type.Object(
    {
      api_key: Type.String({ minLength: 1, 'x-secret': true, description: 'Sent as a bearer token.' }),
      lakera_endpoint: Type.String({
        pattern: '^https?://',
        default: 'https://api.lakera.ai/v2/guard',
        description: 'Where Lakera Guard is.',
      }),
      project_id: Type.Optional(Type.String({ description: 'Project whose rules apply.' })),
      direction: Type.Enum(['input', 'output', 'both'], {
        default: 'input',
        description: 'Whether requests, answers or both are looked at.',
      }),
      action: Type.Enum(['block', 'alert'], {
        default: 'block',
        description: 'What becomes of what is flagged: it is denied, or only logged.',
      }),
      fail_open: Type.Boolean({
        default: false,
        description: 'Let pass what Lakera does not answer for.',
      }),
      fail_mode: failMode,
      timeout: Type.Integer({ minimum: 1, default: 5000, description: 'Milliseconds for an answer.' }),
      ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of Lakera.' }),
      reveal_failure_categories: Type.Boolean({
        default: false,
        description: 'Tell clients which detectors flagged.',
      }),
      deny_code: denyCode,
      request_failure_message: Type.String({
        default: 'Request blocked by Lakera Guard',
        description: 'What is said in place of an answer to a request.',
      }),
      response_failure_message: Type.String({
        default: 'Response blocked by Lakera Guard',
        description: 'What is said in place of an answer.',
      }),
    },
    openInApisix,
  ),
  validate({ lakera_endpoint: url }) {
    return URL.canParse(url) ? undefined : 'lakera_endpoint: it is no URL'
  },
  create(config, host) {
    const { action, fail_open: opens, direction } = config
    const calls = host.calls({ timeout: config.timeout, verify: config.ssl_verify })

    /** @throws Error */
    async function scan(messages: readonly object[]): Promise<Flags> {
      const body = {
        messages,
        breakdown: true,
        ...(config.project_id !== undefined && { project_id: config.project_id }),
      }
      const answer = await calls.call({
        method: 'POST',
        url: config.lakera_endpoint,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${config.api_key}` },
        body: JSON.stringify(body),
      })
      if (answer.status !== 200) throw new Error(`Lakera Guard answers ${answer.status}`)
      const said = jsonOf(answer)
      if (!isJson(said)) throw new Error('Lakera Guard answers with no JSON object')
      return { flagged: said.flagged === true, detectors: detectorsOf(said.breakdown) }
    }

    /** What is said in its place; undefined: it may pass. */
    async function judge(messages: readonly object[], whose: 'request' | 'response') {
      const message = whose === 'request' ? config.request_failure_message : config.response_failure_message
      try {
        const { flagged, detectors } = await scan(messages)
        if (!flagged) return undefined
        host.log.warn({ detectors }, `Lakera Guard flagged a ${whose}`)
        if (action === 'alert') return undefined
        return config.reveal_failure_categories && detectors.length > 0
          ? `${message}. Flagged categories: ${detectors.join(', ')}`
          : message
      } catch (error) {
        const { message: reason } = error as Error
        const becomes = opens ? 'passes' : 'is denied'
        host.log[opens ? 'warn' : 'error'](
          { reason },
          `a ${whose} that Lakera Guard did not look at ${becomes}`,
        )
        return opens ? undefined : message
      }
    }
    const judgeAnswer = (text: string) => judge([{ role: 'assistant', content: text }], 'response')

    function reviewer(call: ModelCall): Reviewer {
      return {
        async whole(text): Promise<Verdict | undefined> {
          const message = text === '' ? undefined : await judgeAnswer(text)
          return message === undefined ? undefined : denied(call, config.deny_code, message)
        },
        stream: () => (action === 'alert' && opens ? watched(call) : heldBack(call)),
      }
    }

    /** Goes out as it comes, and is looked at when it has. */
    function watched(call: ModelCall): StreamReview {
      return {
        isOver: false,
        write: (piece) => piece,
        async end() {
          const text = call.answer?.text ?? ''
          if (text !== '') await judgeAnswer(text)
          return null
        },
      }
    }

    function heldBack(call: ModelCall): StreamReview {
      const pieces: Buffer[] = []
      let size = 0
      const review = {
        isOver: false,
        write(piece: Buffer) {
          pieces.push(piece)
          size += piece.length
          if (size > largestStream) throw new Error('a stream is too large to be looked at')
          return call.protocol === 'bedrock-converse' ? null : keepAlive
        },
        async end() {
          const { answer } = call
          const isKnown = answer?.usage !== undefined && !answer.isCut
          if (!isKnown && !opens) host.log.error({}, 'a stream that cannot be looked at is denied')
          const message =
            isKnown || opens ? await judgeText(answer?.text ?? '') : config.response_failure_message
          if (message === undefined) return Buffer.concat(pieces)
          if (call.protocol === 'bedrock-converse') throw new Error('a stream was flagged')
          review.isOver = true
          return Buffer.from(denial(call, message))
        },
      }
      return review
    }

    async function judgeText(text: string): Promise<string | undefined> {
      return text === '' ? undefined : judgeAnswer(text)
    }

    return {
      async request(exchange) {
        const found = callFor('ai-lakera-guard', config.fail_mode, host.log, exchange)
        if ('refusal' in found) return found.refusal
        const { call } = found
        if (direction !== 'input') call.reviewers.push(reviewer(call))
        if (direction === 'output') return undefined
        const messages = messagesOf(call.body, call.protocol).filter(({ content }) => content !== '')
        const message = messages.length === 0 ? undefined : await judge(messages, 'request')
        return message === undefined ? undefined : denied(call, config.deny_code, message)
      },
    }
  },
})

/** Those that fired. */
function detectorsOf(breakdown: unknown): string[] {
  return (Array.isArray(breakdown) ? breakdown : []).filter(isJson).flatMap((entry) => {
    const { detected, detector_type: type, result } = entry
    if (detected !== true || typeof type !== 'string') return []
    return [typeof result === 'string' && result !== '' ? `${type} (${result})` : type]
  })
}
