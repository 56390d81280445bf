import { definePolicy, NumberFields, openInApisix, Type, type Verdict } from '../kit/index.ts'
import {
  compileKey,
  compileQuantity,
  counterPrefix,
  quantity,
  rejection,
  rejectionFields,
  setRetryAfter,
} from '../kit/limits/index.ts'

const positive = { exclusiveMinimum: 0 }

const header = (name: string, description: string) =>
  Type.String({ default: name, minLength: 1, description })

/** A fixed number of requests in a window; configuration and answers of APISIX's `limit-count`. */
export default definePolicy({
  name: 'limit-count',
  summary: 'Limits the number of requests in a fixed window of time.',
  details:
    'A rejection has the status `rejected_code` and the body `{"error_msg":"..."}` when `rejected_msg` ' +
    'is set, else the page of that status. Every answer carries `X-RateLimit-Limit`, ' +
    '`X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds, up to two decimals); a rejection also ' +
    '`Retry-After`, which APISIX does not send. `show_limit_quota_header: false` leaves out the ' +
    'first three.\n\nCounters are exact across all threads of a node. They belong to the resource that holds ' +
    'the policy and to these settings, so that other changes of the resource do not reset them.\n\nNot ' +
    'supported yet, and refused when the configuration is checked: the Redis policies, sliding windows ' +
    'and `rules`.',
  stage: 'limit',
  priority: 1002,
  version: 0.5,
  config: Type.Object(
    {
      count: quantity(
        'Requests in one window; a number, or a text with variables that becomes one.',
        positive,
      ),
      time_window: quantity('Length of the window in seconds; a number, or a text with variables.', positive),
      key_type: Type.Enum(['var', 'var_combination', 'constant'], {
        default: 'var',
        description: 'Whether `key` is one variable, a text with variables, or the same for all.',
      }),
      key: Type.String({
        default: 'remote_addr',
        description: 'What requests are counted by. The client address stands in when it has no value.',
      }),
      group: Type.Optional(
        Type.String({
          description: 'Bindings of one group share their counters; their settings have to be equal.',
        }),
      ),
      ...rejectionFields,
      show_limit_quota_header: Type.Boolean({
        default: true,
        description: 'Send limit, remaining requests and seconds to the reset with every answer.',
      }),
      allow_degradation: Type.Boolean({
        default: false,
        description:
          'Let requests pass whose `count` or `time_window` has no valid value, rather than answer 500.',
      }),
      policy: Type.Enum(['local', 'redis', 'redis-cluster', 'redis-sentinel'], {
        default: 'local',
        description: 'Where counters are kept. Only `local`, exact across all threads of a node.',
      }),
      window_type: Type.Enum(['fixed', 'sliding'], {
        default: 'fixed',
        description: 'Only `fixed`: a window opens with the first request that is counted in it.',
      }),
    },
    {
      'x-apisix': {
        additionalProperties: undefined,
        required: undefined,
        oneOf: [{ required: ['count', 'time_window'] }, { required: ['rules'] }],
      },
    },
  ),
  metadata: Type.Object(
    {
      limit_header: header('X-RateLimit-Limit', 'Header with the limit.'),
      remaining_header: header('X-RateLimit-Remaining', 'Header with the requests that are left.'),
      reset_header: header('X-RateLimit-Reset', 'Header with the seconds until the window ends.'),
    },
    openInApisix,
  ),
  validate({ policy, window_type }) {
    if (policy !== 'local') return `policy: '${policy}' is not supported yet; only 'local' is`
    if (window_type !== 'fixed') return `window_type: '${window_type}' is not supported yet; only 'fixed' is`
    return undefined
  },
  sharedState: ({ group }) => group,
  create(config, host) {
    const keyOf = compileKey(config.key_type, config.key, host)
    const prefix =
      config.group === undefined
        ? counterPrefix('limit-count', host.binding.owner, config)
        : `limit-count:group:${config.group}:`
    const count = compileQuantity(config.count, host)
    const seconds = compileQuantity(config.time_window, host)
    const window = { limit: 0, windowMs: 0 }
    const windows = [window]
    const state = { remaining: 0, resetMs: 0 }
    const states = [state]

    const shown = config.show_limit_quota_header
    const quota = new NumberFields([
      host.metadata?.limit_header ?? 'X-RateLimit-Limit',
      host.metadata?.remaining_header ?? 'X-RateLimit-Remaining',
      host.metadata?.reset_header ?? 'X-RateLimit-Reset',
    ])
    const rejected = rejection(config)
    const failed: Verdict = { status: 500 }

    return {
      request(exchange) {
        window.limit = count(exchange)
        window.windowMs = seconds(exchange) * 1000
        // NaN, which a text without a number becomes, is not above 0 either.
        if (!(window.limit > 0 && window.windowMs > 0)) return config.allow_degradation ? undefined : failed

        const granted = host.limiter.acquire(prefix + keyOf(exchange), windows, 1, states)
        if (shown) {
          const left = granted ? state.remaining : 0
          const reset = Math.floor(state.resetMs / 10) / 100
          exchange.answer.setBlock(quota.block(window.limit, left, reset))
        }
        if (!granted) setRetryAfter(exchange, state.resetMs)
        return granted ? undefined : rejected
      },
    }
  },
})
