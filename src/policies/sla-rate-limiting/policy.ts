import {
  definePolicy,
  type Exchange,
  headerBlock,
  headerName,
  type LimitKey,
  type LimitState,
  type LimitWindow,
  NumberFields,
  type PolicyHost,
  Type,
} from '../kit/index.ts'

const quota = new NumberFields(['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'])
const retryAfter = headerName('Retry-After')

/** A tier as requests use it: its windows, and room for what the limiter says about each. */
interface Tier {
  readonly windows: readonly LimitWindow[]
  readonly states: LimitState[]
}

/** What a contract means here: its tier, undefined when there is no such tier, and the key of its counters. */
interface Agreement {
  readonly tier: Tier | undefined
  readonly key: LimitKey
}

/** Limits by the tier of the caller's contract; answers of the Flex policy `rate-limiting-sla-based`. */
export default definePolicy({
  name: 'sla-rate-limiting',
  summary: 'Limits each client application by the tier of its contract.',
  details:
    'The caller is known from a policy such as client-id-enforcement; its contract for the API says ' +
    'which tier applies: a contract about the route comes before one about the service, and that before ' +
    'one about every API. Each contract has counters of its own, which outlive a change of tier between ' +
    'windows of the same length.\n\nA caller without a contract gets the `defaultTier` with counters of ' +
    'its own (by consumer, else by client address). Without a `defaultTier` it gets 401 and ' +
    '`WWW-Authenticate: Client-ID-Enforcement`: `{"error":"Client ID is not present"}` when nobody was ' +
    'identified, else `{"error":"Authentication Attempt Failed"}`. A contract about a tier that is not ' +
    'in the list counts as none.\n\nA rejection is 429 with `{"error":"Too Many Requests"}` and ' +
    '`Retry-After`. The `x-ratelimit-*` fields are about the window with the least left; of equals, ' +
    'about the one that takes longest to end.',
  stage: 'limit',
  // Below APISIX's limit-req (1001) and limit-count (1002): limits that hold for everybody come first.
  priority: 999,
  config: Type.Object(
    {
      tiers: Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, description: 'Name that contracts refer to.' }),
            limits: Type.Array(
              Type.Object(
                {
                  maximumRequests: Type.Integer({ minimum: 1, description: 'Requests in one window.' }),
                  timePeriodInMilliseconds: Type.Integer({
                    minimum: 1,
                    description: 'Length of the window.',
                  }),
                },
                { additionalProperties: false },
              ),
              {
                minItems: 1,
                maxItems: 8,
                description: 'A request needs room in every one of these windows.',
              },
            ),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, description: 'The tiers that contracts can be about.' },
      ),
      defaultTier: Type.Optional(
        Type.String({
          description: 'Tier of callers without a contract, who are otherwise refused with 401.',
        }),
      ),
      exposeHeaders: Type.Boolean({
        default: true,
        description:
          'Send `x-ratelimit-limit`, `-remaining` and `-reset` (milliseconds) of the window with the least left.',
      }),
    },
    { additionalProperties: false },
  ),
  validate({ tiers, defaultTier }) {
    const names = new Set<string>()
    for (const { name } of tiers) {
      if (names.has(name)) return `tiers: two are named '${name}'`
      names.add(name)
    }
    if (defaultTier !== undefined && !names.has(defaultTier))
      return `defaultTier: no tier is named '${defaultTier}'`
    return undefined
  },
  create(config, host) {
    const tiers = new Map(config.tiers.map(({ name, limits }) => [name, tierOf(limits)]))
    const defaultTier = config.defaultTier === undefined ? undefined : tiers.get(config.defaultTier)
    const prefix = `sla:${host.binding.owner}:`
    const contentType = 'application/json; charset=UTF-8'
    const headers = headerBlock([['WWW-Authenticate', 'Client-ID-Enforcement']])
    const anonymous = { status: 401, body: '{"error":"Client ID is not present"}', contentType, headers }
    const withoutContract = {
      status: 401,
      body: '{"error":"Authentication Attempt Failed"}',
      contentType,
      headers,
    }
    const exhausted = { status: 429, body: '{"error":"Too Many Requests"}', contentType }
    const agreements = new WeakMap<Contract, Agreement>()
    const agreementOf = (contract: Contract) => {
      let agreement = agreements.get(contract)
      if (!agreement) {
        const key = host.limiter.key(`${prefix}contract:${contract.id}`)
        agreement = { tier: contract.tier === undefined ? undefined : tiers.get(contract.tier), key }
        agreements.set(contract, agreement)
      }
      return agreement
    }

    return {
      request(exchange) {
        const { consumer, binding } = exchange
        const contract = consumer && binding ? host.contracts.find(consumer.username, binding) : undefined
        const agreement = contract && agreementOf(contract)
        const tier = agreement?.tier ?? defaultTier
        if (!tier) return consumer ? withoutContract : anonymous

        const key = agreement?.tier ? agreement.key : prefix + callerWithoutContract(exchange)
        const granted = host.limiter.acquire(key, tier.windows, 1, tier.states)
        const tightest = tightestOf(tier.states)
        const { remaining, resetMs } = tier.states[tightest]!
        if (config.exposeHeaders) {
          const { limit } = tier.windows[tightest]!
          exchange.answer.setBlock(quota.block(limit, remaining, Math.ceil(resetMs)))
        }
        if (granted) return
        exchange.answer.set(retryAfter, Math.max(1, Math.ceil(resetMs / 1000)))
        return exhausted
      },
    }
  },
})

type Contract = NonNullable<ReturnType<PolicyHost['contracts']['find']>>

function tierOf(limits: readonly { maximumRequests: number; timePeriodInMilliseconds: number }[]): Tier {
  return {
    windows: limits.map((limit) => ({
      limit: limit.maximumRequests,
      windowMs: limit.timePeriodInMilliseconds,
    })),
    states: limits.map(() => ({ remaining: 0, resetMs: 0 })),
  }
}

function callerWithoutContract({ consumer, client }: Exchange): string {
  return consumer ? `consumer:${consumer.username}` : `address:${client.address}`
}

/** The window with the least left; of equals the one that takes longest to end, since that is how long to wait. */
function tightestOf(states: readonly LimitState[]): number {
  let tightest = 0
  for (let index = 1; index < states.length; index++) {
    const state = states[index]!
    const other = states[tightest]!
    if (
      state.remaining < other.remaining ||
      (state.remaining === other.remaining && state.resetMs > other.resetMs)
    ) {
      tightest = index
    }
  }
  return tightest
}
