import { createHash } from 'node:crypto'
import {
  expressionProblem,
  payloadOf,
  requestScope,
  textOrExpression,
  usualVocabulary,
} from '../kit/dataweave/index.ts'
import { rejection } from '../kit/flex/rejection.ts'
import { definePolicy, headerName, type LimitState, NumberFields, Type } from '../kit/index.ts'

const quota = new NumberFields(['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'])
const retryAfter = headerName('Retry-After')
/** Bytes of a body that a key may be read from. */
const largestPayload = 1024 * 1024
/** Characters of a key that is counted under its own text; a longer one is counted under its digest. */
const longestKey = 256

const limits = {
  maximumRequests: Type.Integer({ minimum: 1, description: 'Requests in one window.' }),
  timePeriodInMilliseconds: Type.Integer({ minimum: 1, description: 'Length of the window.' }),
}
const options = {
  keySelector: Type.Optional(
    Type.String({
      description: 'DataWeave expression: requests with the same value share a quota. None: all of them do.',
    }),
  ),
  exposeHeaders: Type.Optional(
    Type.Boolean({
      description: 'Send `x-ratelimit-limit`, `-remaining` and `-reset` (milliseconds). Default: false.',
    }),
  ),
  clusterizable: Type.Optional(
    Type.Boolean({
      description:
        'Whether replicas would share the quotas. Here all threads of one gateway do. Default: true.',
    }),
  ),
}

/** Fixed windows; configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'rate-limiting-flex',
  summary: 'Limits requests in windows of time, for each value of an expression.',
  details:
    'A window opens with the first request of a key. A request needs room in all of the windows; one that has none is ' +
    'counted in none. A rejection is 429 with `{"error":"Too Many Requests"}` and `Retry-After`; the `x-ratelimit-*` ' +
    'fields are about the window with the least left. A `keySelector` without a value, or that fails, counts under the ' +
    'empty key. One that reads `payload` has bodies up to 1 MiB read first; a larger one is 413.\n\nQuotas are exact across ' +
    'the threads of one gateway; `clusterizable` is taken and does not reach further. `keySelector`, `exposeHeaders` and ' +
    '`clusterizable` may stand in the first item of `rateLimits` too, as they do in the field.',
  stage: 'limit',
  priority: 998,
  config: Type.Object(
    {
      rateLimits: Type.Array(Type.Object({ ...limits, ...options }, { additionalProperties: false }), {
        minItems: 1,
        maxItems: 8,
        description: 'The windows.',
      }),
      ...options,
    },
    { additionalProperties: false },
  ),
  validate(config) {
    for (const [place, selector] of [
      ['keySelector', config.keySelector],
      ...config.rateLimits.map(
        ({ keySelector }, index) => [`rateLimits.${index}.keySelector`, keySelector] as const,
      ),
    ] as const) {
      const problem = selector === undefined ? undefined : expressionProblem(selector, usualVocabulary)
      if (problem !== undefined) return `${place}: ${problem}`
    }
    return undefined
  },
  create({ rateLimits, ...own }, host) {
    const { keySelector, exposeHeaders = false } = { ...rateLimits[0], ...own }
    const windows = rateLimits.map(({ maximumRequests: limit, timePeriodInMilliseconds: windowMs }) => ({
      limit,
      windowMs,
    }))
    const states: LimitState[] = windows.map(() => ({ remaining: 0, resetMs: 0 }))
    const prefix = `${host.binding.policy}:${host.binding.owner}:`
    const selector = keySelector === undefined ? undefined : textOrExpression(keySelector)
    const shared = host.limiter.key(prefix)
    const exhausted = rejection(429, 'Too Many Requests')
    const tooLarge = rejection(413, 'Payload too large')

    function keyOf(exchange: Parameters<typeof requestScope>[0], body?: string): string | typeof shared {
      if (selector === undefined) return shared
      try {
        const payload = body === undefined ? null : payloadOf(exchange, body)
        return prefix + bounded(selector.text(requestScope(exchange, payload)))
      } catch {
        return prefix
      }
    }

    function decide(exchange: Parameters<typeof requestScope>[0], key: string | typeof shared) {
      const granted = host.limiter.acquire(key, windows, 1, states)
      const tightest = tightestOf(states)
      const { remaining, resetMs } = states[tightest]!
      if (exposeHeaders) {
        exchange.answer.setBlock(quota.block(windows[tightest]!.limit, remaining, Math.ceil(resetMs)))
      }
      if (granted) return undefined
      exchange.answer.set(retryAfter, Math.max(1, Math.ceil(resetMs / 1000)))
      return exhausted
    }

    if (selector?.reads.payload !== true) {
      return { request: (exchange) => decide(exchange, keyOf(exchange)) }
    }
    return {
      async request(exchange) {
        const body = await exchange.request.readBody(largestPayload)
        return body === null ? tooLarge : decide(exchange, keyOf(exchange, body))
      },
    }
  },
})

function bounded(key: string): string {
  return key.length <= longestKey ? key : createHash('sha256').update(key).digest('base64url')
}

/** The window with the least left; of equals the one that takes longest to end. */
function tightestOf(states: readonly LimitState[]): number {
  let tightest = 0
  for (let index = 1; index < states.length; index++) {
    const [one, other] = [states[index]!, states[tightest]!]
    if (one.remaining < other.remaining || (one.remaining === other.remaining && one.resetMs > other.resetMs))
      tightest = index
  }
  return tightest
}
