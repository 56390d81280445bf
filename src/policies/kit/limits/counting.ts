/** Counting requests in windows, as `limit-count` does and policies that charge by other costs. */
import { type Static, Type } from '../../../config/type.ts'
import type { Exchange, Verdict } from '../../../proxy/exchange.ts'
import type { LimitState, LimitWindow, PolicyHost } from '../host.ts'
import type { Counted } from './counter-store.ts'
import { compileCombination, compileKey, counterPrefix } from './key.ts'
import { compileQuantity, quantity, quantityFinding } from './quantity.ts'
import {
  compileQuota,
  isFieldNamePart,
  type QuotaNames,
  type QuotaWriter,
  quotaMetadata,
  quotaStyle,
} from './quota-fields.ts'
import { redisFields, redisFinding, redisInApisix, sentinelFields } from './redis-target.ts'
import { rejection, rejectionFields, setRetryAfter } from './rejection.ts'
import { absentStore, sharedDecisions } from './shared-decisions.ts'

const positive = { exclusiveMinimum: 0 }
const kinds = ['redis', 'redis-cluster', 'redis-sentinel']

export const countingFields = {
  count: Type.Optional(
    quantity('Requests in one window; a number, or a text with variables that becomes one.', positive),
  ),
  time_window: Type.Optional(
    quantity('Length of the window in seconds; a number, or a text with variables.', positive),
  ),
  window_type: Type.Enum(['fixed', 'sliding'], {
    default: 'fixed',
    description:
      'A fixed window opens with the first request that is counted in it; a sliding one also counts the span before, by ' +
      'the share that still overlaps.',
  }),
  key_type: Type.Enum(['var', 'var_combination', 'constant'], {
    default: 'var',
    description: 'Whether `key` is one variable, a text with variables, or the same for all.',
  }),
  key: Type.String({
    default: 'remote_addr',
    description: 'What requests are counted by. The client address stands in when it has no value.',
  }),
  rules: Type.Optional(
    Type.Array(
      Type.Object(
        {
          count: quantity('Requests in one window.', positive),
          time_window: quantity('Length of the window in seconds.', positive),
          key: Type.String({
            description: 'A text with variables; without any of them the rule does not apply.',
          }),
          header_prefix: Type.Optional(
            Type.String({
              description: 'Names the quota: `X-PREFIX-RateLimit-Limit`. Default: the position, from 1.',
            }),
          ),
        },
        { 'x-apisix': { additionalProperties: undefined } },
      ),
      { description: 'Several limits, one after the other, in place of `count` and `time_window`.' },
    ),
  ),
  group: Type.Optional(
    Type.String({
      description: 'Bindings of one group share their counters; their settings have to be equal.',
    }),
  ),
  ...rejectionFields,
  show_limit_quota_header: Type.Boolean({
    default: true,
    description: 'Send limit, remaining requests and the time to the reset with every answer.',
  }),
  quota_headers: quotaStyle,
  allow_degradation: Type.Boolean({
    default: false,
    description: 'Let requests pass that cannot be counted, rather than answer 500.',
  }),
  policy: Type.Enum(['local', 'redis', 'redis-cluster', 'redis-sentinel'], {
    default: 'local',
    description:
      'Where counters are kept: by this node, exactly across its threads, or in Redis for all nodes.',
  }),
  ...redisFields,
  ...sentinelFields,
  absent_store: absentStore,
  lease: Type.Optional(
    Type.Integer({
      minimum: 2,
      maximum: 10_000,
      description: 'Take that much from Redis at once, and count it locally. Fixed windows only.',
    }),
  ),
  sync_interval: Type.Number({
    default: -1,
    description:
      'Count locally, and tell Redis every so many seconds; from 0.1, -1: ask it for each request.',
  }),
}

/** How a schema with these fields differs in APISIX. */
export const countingInApisix = () => {
  const { properties, ...branches } = redisInApisix(kinds)
  return {
    additionalProperties: undefined,
    required: undefined,
    oneOf: [{ required: ['count', 'time_window'] }, { required: ['rules'] }],
    properties: { ...properties, quota_headers: undefined },
    ...branches,
  }
}

export const countingMetadata = Type.Object(quotaMetadata, {
  'x-apisix': { additionalProperties: undefined },
})

const schema = Type.Object(countingFields)
export type CountingConfig = Static<typeof schema>

const bothWays = 'count/time_window and rules cannot be specified at the same time'

/** APISIX looks for this itself, where the alternatives of its schema do not agree. */
export function countingWording(
  fault: string,
  { rules, count, time_window: window }: { rules?: unknown; count?: unknown; time_window?: unknown },
): string | undefined {
  const isBoth = rules !== undefined && (count !== undefined || window !== undefined)
  return isBoth && fault.includes('value should match only one schema') ? bothWays : undefined
}

/** What the schema cannot say. */
export function countingFinding(config: CountingConfig): string | undefined {
  const { rules, count, time_window: window, group, sync_interval: interval, lease } = config
  if (rules !== undefined && (count !== undefined || window !== undefined)) return bothWays
  if (rules === undefined && (count === undefined || window === undefined))
    return "'count' and 'time_window' are needed, or 'rules'"
  if (rules !== undefined && group !== undefined)
    return 'group and rules cannot be specified at the same time'
  for (const rule of rules ?? [{ count, time_window: window }]) {
    const finding = quantityFinding('count', rule.count) ?? quantityFinding('time_window', rule.time_window)
    if (finding !== undefined) return finding
  }
  const keys = new Set<string>()
  for (const { key, header_prefix: prefix } of rules ?? []) {
    if (keys.has(key)) return `duplicate key '${key}' in rules`
    keys.add(key)
    if (prefix !== undefined && !isFieldNamePart(prefix))
      return `rules: the header_prefix '${prefix}' cannot stand in a field name`
  }
  if (interval !== -1 && config.policy !== 'local') {
    if (interval < 0.1) return 'sync_interval should not be smaller than 0.1'
    if (typeof window === 'number' && interval >= window)
      return 'sync_interval should be smaller than time_window'
    if (lease !== undefined) return "'lease' and 'sync_interval' exclude each other"
  }
  if (lease !== undefined && config.policy === 'local') return "'lease' is for counters in Redis"
  if (lease !== undefined && config.window_type === 'sliding') return "'lease' is for fixed windows"
  return redisFinding(config)
}

interface Rule {
  readonly count: (exchange: Exchange) => number
  readonly seconds: (exchange: Exchange) => number
  /** Undefined: the rule does not apply. */
  readonly key: (exchange: Exchange) => string | undefined
  /** What the keys of its counters begin with. */
  readonly prefix: string
  readonly tell: QuotaWriter | undefined
}

type Outcome = Verdict | undefined

/** Charges a request; a promise only when the counters are kept elsewhere. */
export type Charge = (exchange: Exchange, cost: number) => Outcome | Promise<Outcome>

/**
 * @param name of the policy
 * @param part of the policy that has counters of its own, such as an action of a workflow
 */
export function compileCounting(
  name: string,
  config: CountingConfig,
  host: PolicyHost<unknown, QuotaNames>,
  part = '',
): Charge {
  const { limiter } = host
  const isSliding = config.window_type === 'sliding'
  const rules = rulesOf(name, config, host, part)
  const rejected = rejection(config)
  const invalid: Verdict = { status: 500 }
  const uncounted: Verdict = { status: 500, body: { error_msg: 'failed to limit count' } }
  const shared = sharedDecisions(name, config, host, {
    ...(config.lease !== undefined && { lease: config.lease }),
    ...(config.sync_interval > 0 && { syncMs: config.sync_interval * 1000 }),
  })
  const window = { limit: 0, windowMs: 0 }
  const windows = [window]
  const state: LimitState = { remaining: 0, resetMs: 0 }
  const states = [state]

  function countLocally(key: string, cost: number): boolean {
    return isSliding ? limiter.slide(key, window, cost, state) : limiter.acquire(key, windows, cost, states)
  }

  /** @returns the verdict of one rule; undefined: it has room */
  function judge(
    exchange: Exchange,
    { tell }: Rule,
    { limit, windowMs }: LimitWindow,
    granted: boolean,
    { remaining, resetMs }: LimitState,
  ): Outcome {
    tell?.(exchange, limit, windowMs, granted ? remaining : 0, resetMs)
    if (granted) return undefined
    setRetryAfter(exchange, resetMs)
    return rejected
  }

  function charge(exchange: Exchange, cost: number, from = 0, applied = false): Outcome | Promise<Outcome> {
    for (let at = from; at < rules.length; at++) {
      const rule = rules[at]!
      const key = rule.key(exchange)
      if (key === undefined) continue
      applied = true
      window.limit = rule.count(exchange)
      window.windowMs = rule.seconds(exchange) * 1000
      // NaN, which a text without a number becomes, is not above 0 either.
      if (!(window.limit > 0 && window.windowMs > 0)) return config.allow_degradation ? undefined : invalid
      if (shared !== undefined) return chargeShared(exchange, cost, at, rule.prefix + key, { ...window })
      const granted = countLocally(rule.prefix + key, cost)
      const verdict = judge(exchange, rule, window, granted, state)
      if (verdict !== undefined) return verdict
    }
    return applied || config.allow_degradation ? undefined : invalid
  }

  async function chargeShared(
    exchange: Exchange,
    cost: number,
    at: number,
    key: string,
    span: LimitWindow,
  ): Promise<Outcome> {
    const counted = await shared!.decide<Counted>(
      (store) => (isSliding ? store.slide(key, span, cost) : store.acquire(key, span, cost)),
      () => {
        Object.assign(window, span)
        const granted = countLocally(key, cost)
        return { granted: granted ? cost : 0, remaining: state.remaining, resetMs: state.resetMs }
      },
    )
    if (counted === 'closed') return uncounted
    if (counted !== 'open') {
      const verdict = judge(exchange, rules[at]!, span, counted.granted >= cost, counted)
      if (verdict !== undefined) return verdict
    }
    return charge(exchange, cost, at + 1, true)
  }

  return charge
}

function rulesOf(
  name: string,
  config: CountingConfig,
  host: PolicyHost<unknown, QuotaNames>,
  part: string,
): Rule[] {
  const own = counterPrefix(name, host.binding.owner, config) + (part === '' ? '' : `${part}:`)
  const writer = (prefix: string | undefined) =>
    config.show_limit_quota_header ? compileQuota(config.quota_headers, host.metadata, prefix) : undefined
  if (config.rules !== undefined) {
    return config.rules.map((rule, index) => ({
      count: compileQuantity(rule.count, host),
      seconds: compileQuantity(rule.time_window, host),
      key: compileCombination(rule.key, host),
      prefix: `${own}${index}:`,
      tell: writer(rule.header_prefix ?? String(index + 1)),
    }))
  }
  return [
    {
      count: compileQuantity(config.count!, host),
      seconds: compileQuantity(config.time_window!, host),
      key: compileKey(config.key_type, config.key, host),
      prefix: config.group === undefined ? own : `${name}:group:${config.group}:`,
      tell: writer(undefined),
    },
  ]
}
