import { definePolicy, type Exchange, NumberFields, Type, type Verdict } from '../kit/index.ts'
import { setRetryAfter } from '../kit/limits/index.ts'

const quota = new NumberFields(['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'])
const exhausted: Verdict = {
  status: 429,
  body: '{"error":"Too Many Requests"}',
  contentType: 'application/json; charset=UTF-8',
}

/** A queue that takes the edge off bursts; settings and answers of the Flex policy `spike-control`. */
export default definePolicy({
  name: 'spike-control',
  summary: 'Takes bursts into a short queue that is asked again and again, then rejects.',
  details:
    'Requests pass while the sliding window has room. Others wait: up to `queuingLimit` at a time over all threads of a ' +
    'node, each for `delayTimeInMillis` and as often as `delayAttempts` says, until the window has room. What finds ' +
    'the queue full, or has waited often enough, is 429 with `{"error":"Too Many Requests"}` and `Retry-After`.',
  stage: 'limit',
  // After the limits that count, before the tiers of contracts.
  priority: 1000,
  config: Type.Object({
    maximumRequests: Type.Integer({ minimum: 1, default: 1, description: 'Requests in one window.' }),
    timePeriodInMilliseconds: Type.Integer({
      minimum: 1,
      default: 1000,
      description: 'Length of the window.',
    }),
    delayTimeInMillis: Type.Integer({ minimum: 1, default: 1000, description: 'Time between two attempts.' }),
    delayAttempts: Type.Integer({ minimum: 0, default: 1, description: 'Attempts of a request that waits.' }),
    queuingLimit: Type.Integer({ minimum: 0, default: 0, description: 'Requests that may wait; 0: none.' }),
    exposeHeaders: Type.Boolean({
      default: false,
      description: 'Send `x-ratelimit-limit`, `-remaining` and `-reset` (milliseconds).',
    }),
  }),
  create(config, host) {
    const { limiter, delays } = host
    const prefix = `spike-control:${host.binding.owner}`
    const window = { limit: config.maximumRequests, windowMs: config.timePeriodInMilliseconds }
    const state = { remaining: 0, resetMs: 0 }

    function pass(exchange: Exchange): boolean {
      const granted = limiter.slide(prefix, window, 1, state)
      if (config.exposeHeaders) {
        const reset = granted ? 0 : Math.ceil(state.resetMs)
        exchange.answer.setBlock(quota.block(window.limit, state.remaining, reset))
      }
      return granted
    }

    function reject(exchange: Exchange): Verdict {
      setRetryAfter(exchange, state.resetMs)
      return exhausted
    }

    /** Its place in the queue is given back however it ends. */
    async function wait(exchange: Exchange): Promise<Verdict | undefined> {
      const place = limiter.enter(`${prefix}:queue`, config.queuingLimit)
      if (place === null) return reject(exchange)
      try {
        for (let attempt = 0; attempt < config.delayAttempts; attempt++) {
          const pending = delays.wait(config.delayTimeInMillis, exchange)
          if (pending === undefined) break
          await pending
          if (exchange.outcome !== 'pending' || pass(exchange)) return undefined
        }
        return reject(exchange)
      } finally {
        place.leave()
      }
    }

    const isQueueing = config.queuingLimit > 0 && config.delayAttempts > 0
    function request(exchange: Exchange) {
      if (pass(exchange)) return undefined
      return isQueueing ? wait(exchange) : reject(exchange)
    }
    return isQueueing ? { request, observe: (exchange) => delays.release(exchange) } : { request }
  },
})
