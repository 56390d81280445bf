import { modelCall } from '../kit/ai/index.ts'
import { definePolicy, type Exchange, headerName, openInApisix, Type, type Verdict } from '../kit/index.ts'

const tokens = () => Type.Integer({ minimum: 1, description: 'Tokens in one window.' })
const seconds = () => Type.Integer({ minimum: 1, description: 'Length of a window, in seconds.' })

interface Limit {
  readonly key: string
  readonly windows: readonly [{ limit: number; windowMs: number }]
}

/** Configuration and answers of APISIX's `ai-rate-limiting`. */
export default definePolicy({
  name: 'ai-rate-limiting',
  summary: 'Limits the tokens that requests to language models cost.',
  details:
    'For requests of `ai-proxy` and `ai-proxy-multi`. What an answer says of its cost is counted when it is complete, or ' +
    'as far as it came: the request that goes beyond the limit still passes, those after it are answered with ' +
    '`rejected_code`, until the window ends. `limit` holds for each instance by itself that is not named in ' +
    '`instances`. Clients see `X-AI-RateLimit-Limit-NAME`, `-Remaining-NAME` and `-Reset-NAME`; for `ai-proxy`, NAME is ' +
    '`ai-proxy-` and the provider.\n\nCounts are exact across all threads of a node. Missing: `rules`, limits out of ' +
    'variables, the strategy `expression`, and Redis.',
  stage: 'limit',
  priority: 1030,
  config: Type.Object(
    {
      limit: Type.Optional(tokens()),
      time_window: Type.Optional(seconds()),
      instances: Type.Optional(
        Type.Array(
          Type.Object(
            {
              name: Type.String({ description: 'Of the instance.' }),
              limit: tokens(),
              time_window: seconds(),
            },
            openInApisix,
          ),
          { minItems: 1, description: 'Limits of single instances.' },
        ),
      ),
      limit_strategy: Type.Enum(['total_tokens', 'prompt_tokens', 'completion_tokens'], {
        default: 'total_tokens',
        description: 'What is counted.',
        'x-unsupported': ['expression'],
      }),
      show_limit_quota_header: Type.Boolean({ default: true, description: 'Tell clients how much is left.' }),
      rejected_code: Type.Integer({
        minimum: 200,
        maximum: 599,
        default: 503,
        description: 'Status of a rejection.',
      }),
      rejected_msg: Type.Optional(
        Type.String({ minLength: 1, description: 'Sent as `error_msg` in place of the page of the status.' }),
      ),
      policy: Type.Enum(['local'], {
        default: 'local',
        description: 'Where tokens are counted.',
        'x-unsupported': ['redis', 'redis-cluster', 'redis-sentinel'],
      }),
      allow_degradation: Type.Boolean({
        default: false,
        description: 'Known because APISIX has it; nothing fails here.',
      }),
    },
    {
      'x-apisix': { additionalProperties: undefined },
      'x-unsupported': { rules: 'limits by rules', cost_expr: 'the strategy expression' },
    },
  ),
  validate({ limit: own, time_window: window, instances }) {
    if ((own === undefined) !== (window === undefined)) return "'limit' and 'time_window' belong together"
    return own === undefined && instances === undefined
      ? "'limit' and 'time_window' are needed, or 'instances'"
      : undefined
  },
  create(config, host) {
    const { limiter } = host
    const states = [{ remaining: 0, resetMs: 0 }]
    const limits = new Map<string, Limit>()
    const fields = new Map<string, ReturnType<typeof fieldsOf>>()
    const rejected: Verdict = {
      status: config.rejected_code,
      ...(config.rejected_msg !== undefined && { body: { error_msg: config.rejected_msg } }),
    }
    for (const one of config.instances ?? [])
      limits.set(one.name, limitOf(one.name, one.limit, one.time_window))

    function limitOf(name: string, most: number, length: number): Limit {
      return {
        key: `ai-rate-limiting:${host.binding.owner}:${name}`,
        windows: [{ limit: most, windowMs: length * 1000 }],
      }
    }

    /** Instances come from the configuration of other policies, so there are not many. */
    function limitFor(name: string): Limit | undefined {
      const known = limits.get(name)
      if (known !== undefined || config.limit === undefined) return known
      const made = limitOf(name, config.limit, config.time_window!)
      limits.set(name, made)
      return made
    }

    function left({ key, windows }: Limit): number {
      limiter.acquire(key, windows, 0, states)
      return states[0]!.remaining
    }

    function show(exchange: Exchange, name: string, { windows }: Limit, remaining: number): void {
      if (!config.show_limit_quota_header) return
      let names = fields.get(name)
      if (names === undefined) {
        names = fieldsOf(name)
        fields.set(name, names)
      }
      exchange.answer.set(names.limit, windows[0].limit)
      exchange.answer.set(names.remaining, remaining)
      exchange.answer.set(names.reset, Math.ceil(states[0]!.resetMs / 1000))
    }

    return {
      request(exchange) {
        const call = modelCall(exchange)
        if (call === undefined) return undefined
        let instances = call.instances
        if (call.avoidsLimits) {
          const free = instances.filter((name) => {
            const one = limitFor(name)
            return one === undefined || left(one) > 0
          })
          if (free.length > 0) instances = call.instances = free
        }
        const name = instances[0]!
        const one = limitFor(name)
        if (one === undefined) return undefined
        const remaining = left(one)
        // As in APISIX, the request itself is taken for one token until its cost is known.
        show(exchange, name, one, Math.max(0, remaining - 1))
        return remaining > 0 ? undefined : rejected
      },
      observe(exchange) {
        const call = modelCall(exchange)
        const usage = call?.answer?.usage
        if (call === undefined || usage === undefined) return
        const one = limitFor(call.instances[0]!)
        const cost = usage[config.limit_strategy]
        // A cost beyond what is left takes all of it: the limiter counts nothing that has no room.
        if (one !== undefined && cost > 0)
          limiter.acquire(one.key, one.windows, Math.min(cost, left(one)), states)
      },
    }
  },
})

function fieldsOf(name: string) {
  const safe = name.replace(/[^!#$%&'*+.^_`|~0-9A-Za-z-]/g, '-')
  return {
    limit: headerName(`X-AI-RateLimit-Limit-${safe}`),
    remaining: headerName(`X-AI-RateLimit-Remaining-${safe}`),
    reset: headerName(`X-AI-RateLimit-Reset-${safe}`),
  }
}
