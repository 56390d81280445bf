import { type ModelCall, modelCall } from '../kit/ai/index.ts'
import { definePolicy, type Exchange, openInApisix, Type, type Verdict } from '../kit/index.ts'
import {
  absentStore,
  quantity,
  quantityFinding,
  redisFields,
  redisFinding,
  redisInApisix,
  rejectionFields,
  sentinelFields,
} from '../kit/limits/index.ts'
import { type CostExpression, compileCost } from './cost-expression.ts'
import { TokenLimits } from './token-limits.ts'

const positive = { exclusiveMinimum: 0 }
const kinds = ['redis', 'redis-cluster', 'redis-sentinel']
const tokens = (range: { minimum: number } | { exclusiveMinimum: number } = positive) =>
  quantity('Tokens in one window; a number, or a text with variables that becomes one.', range)
const seconds = (range: { minimum: number } | { exclusiveMinimum: number } = positive) =>
  quantity('Length of a window, in seconds.', range)

const { properties: inApisix, ...branches } = redisInApisix(kinds)

/** As APISIX answers when every instance has reached its limit. */
const noneLeft: Verdict = { status: 503, body: 'all servers tried' }

/** Configuration and answers of APISIX's `ai-rate-limiting`. */
export default definePolicy({
  name: 'ai-rate-limiting',
  summary: 'Limits the tokens that requests to language models cost.',
  details:
    'For requests of `ai-proxy` and `ai-proxy-multi`. What an answer says of its cost is counted when it is complete, or ' +
    'as far as it came: the request that goes beyond the limit still passes, those after it are answered with ' +
    '`rejected_code`, until the window ends. `limit` holds for all instances together that are not named in ' +
    '`instances`; each of `rules` for what has the same `key`. Clients see `X-AI-RateLimit-Limit-NAME`, ' +
    '`-Remaining-NAME` and `-Reset-NAME`; for `ai-proxy`, NAME is `ai-proxy-` and the provider. With `rules` they see ' +
    '`X-AI-PREFIX-RateLimit-Limit` and the like.\n\n' +
    '`cost_expr` is arithmetic in the syntax of Lua (`+ - * / // % ^`, parentheses, `abs`, `ceil`, `floor`, `max`, `min`) ' +
    'over the numbers under `usage` of an answer; whatever else Lua knows is a finding. Local counters are exact across ' +
    'all threads of a node. Counters in Redis are told of the cost after the answer has ended; while Redis is away, ' +
    'what was not told is not counted.',
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
              limit: tokens({ minimum: 1 }),
              time_window: seconds({ minimum: 1 }),
            },
            openInApisix,
          ),
          { minItems: 1, description: 'Limits of single instances.' },
        ),
      ),
      rules: Type.Optional(
        Type.Array(
          Type.Object(
            {
              count: tokens(),
              time_window: seconds(),
              key: Type.String({
                description: 'A text with variables; without any of them the rule does not apply.',
              }),
              header_prefix: Type.Optional(
                Type.String({ description: 'PREFIX of its fields. Default: its position, from 1.' }),
              ),
            },
            openInApisix,
          ),
          { description: 'Several limits in place of the others.' },
        ),
      ),
      limit_strategy: Type.Enum(['total_tokens', 'prompt_tokens', 'completion_tokens', 'expression'], {
        default: 'total_tokens',
        description: 'What is counted.',
      }),
      cost_expr: Type.Optional(
        Type.String({ minLength: 1, description: 'What is counted with the strategy `expression`.' }),
      ),
      show_limit_quota_header: Type.Boolean({ default: true, description: 'Tell clients how much is left.' }),
      ...rejectionFields,
      policy: Type.Enum(['local', 'redis', 'redis-cluster', 'redis-sentinel'], {
        default: 'local',
        description: 'Where tokens are counted: by this node, or in Redis for all nodes.',
      }),
      ...redisFields,
      ...sentinelFields,
      absent_store: absentStore,
      allow_degradation: Type.Boolean({
        default: false,
        description: 'Let requests pass that cannot be counted, rather than answer 500.',
      }),
    },
    {
      'x-apisix': {
        additionalProperties: undefined,
        dependencies: { limit: ['time_window'], time_window: ['limit'] },
        oneOf: [
          { anyOf: [{ required: ['limit', 'time_window'] }, { required: ['instances'] }] },
          { required: ['rules'] },
        ],
        properties: inApisix,
        ...branches,
      },
    },
  ),
  validate(config) {
    const {
      limit: own,
      time_window: window,
      instances,
      rules,
      limit_strategy: strategy,
      cost_expr: text,
    } = config
    if ((own === undefined) !== (window === undefined)) return "'limit' and 'time_window' belong together"
    const isPlain = own !== undefined || instances !== undefined
    if (isPlain === (rules !== undefined))
      return isPlain
        ? "'rules' exclude 'limit' and 'instances'"
        : "'limit' and 'time_window' are needed, or 'instances', or 'rules'"
    const all = [{ limit: own, time_window: window }, ...(instances ?? [])]
    for (const one of [...all, ...(rules ?? []).map((rule) => ({ ...rule, limit: rule.count }))]) {
      const finding = quantityFinding('limit', one.limit) ?? quantityFinding('time_window', one.time_window)
      if (finding !== undefined) return finding
    }
    if (strategy === 'expression') {
      if (text === undefined) return "cost_expr is required when limit_strategy is 'expression'"
      const cost = compileCost(text)
      if ('problem' in cost) return `invalid cost_expr: it ${cost.problem}`
    }
    return redisFinding(config)
  },
  create(config, host) {
    const limits = new TokenLimits(config, host)
    const expression =
      config.limit_strategy === 'expression' ? (compileCost(config.cost_expr!) as CostExpression) : undefined

    function costOf({ answer }: ModelCall): number {
      if (answer?.usage === undefined) return 0
      if (expression === undefined)
        return answer.usage[config.limit_strategy as Exclude<typeof config.limit_strategy, 'expression'>]
      const cost = Math.round(expression(answer.counts))
      return Number.isSafeInteger(cost) ? Math.max(0, cost) : 0
    }

    async function choose(exchange: Exchange, call: ModelCall): Promise<Verdict | undefined> {
      if (call.avoidsLimits) {
        const free: string[] = []
        for (const name of call.instances) if (await limits.hasRoom(exchange, name)) free.push(name)
        if (free.length === 0) return noneLeft
        call.instances = free
      }
      return limits.judge(exchange, call.instances[0]!)
    }

    return {
      request(exchange) {
        const call = modelCall(exchange)
        return call === undefined ? undefined : choose(exchange, call)
      },
      observe(exchange) {
        const call = modelCall(exchange)
        if (call === undefined || call.attempts.length === 0) return
        const cost = costOf(call)
        if (cost > 0) limits.charge(exchange, call.instances[0]!, cost)
      },
    }
  },
})
