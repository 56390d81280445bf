import {
  asking,
  auth,
  type Instance,
  instanceFinding,
  ModelClient,
  modelCall,
  type Outcome,
  options,
  override,
  provider,
  readModelRequest,
  setModelCall,
} from '../kit/ai/index.ts'
import { definePolicy, type Exchange, Type } from '../kit/index.ts'
import { WeightedTurns } from '../kit/weighted-turns.ts'

const instance = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, description: 'Unique among the instances.' }),
    provider,
    priority: Type.Integer({ default: 0, description: 'Instances with the highest one are asked first.' }),
    weight: Type.Integer({ minimum: 0, description: 'Share of the requests.' }),
    auth,
    options,
    override,
  },
  {
    'x-apisix': { additionalProperties: undefined },
    'x-unsupported': {
      provider_conf: 'settings of single providers',
      checks: 'health checks of instances',
      examples: 'the choice by meaning',
      threshold: 'the choice by meaning',
    },
  },
)

/** Configuration and answers of APISIX's `ai-proxy-multi`. */
export default definePolicy({
  name: 'ai-proxy-multi',
  summary: 'Spreads requests over several services of language models, and asks another one when one fails.',
  details:
    'As `ai-proxy`, for several instances. Those with the highest `priority` take turns by their weights. With ' +
    '`fallback_strategy` or `fallback_http_statuses`, the next one is asked when the answer is 429, is from 500 to 599 ' +
    '(or there is none), or has one of the statuses; each instance is asked once, and no more than `max_retries` after ' +
    'the first. With `rate_limiting` or `instance_health_and_rate_limiting`, an instance whose `ai-rate-limiting` is ' +
    'reached is passed over. What has begun to reach the client is never sent again.\n\n' +
    'Missing: the balancers `chash` and `semantic`, health checks of instances, and what `ai-proxy` misses.',
  stage: 'authorize',
  priority: 1041,
  version: 0.5,
  answers: () => true,
  config: Type.Object(
    {
      instances: Type.Array(instance, { minItems: 1, description: 'Services that are asked.' }),
      balancer: Type.Object(
        {
          algorithm: Type.Enum(['roundrobin'], {
            default: 'roundrobin',
            description: 'How instances are chosen.',
            'x-unsupported': ['chash', 'semantic'],
          }),
        },
        {
          default: {},
          description: 'How requests are spread.',
          'x-apisix': { additionalProperties: undefined },
          'x-unsupported': { hash_on: 'the balancer chash', key: 'the balancer chash' },
        },
      ),
      fallback_strategy: Type.Optional(
        Type.Union(
          [
            Type.Enum(['instance_health_and_rate_limiting', 'http_429', 'http_5xx']),
            Type.Array(Type.Enum(['rate_limiting', 'http_429', 'http_5xx'])),
          ],
          { description: 'When another instance is asked.', 'x-form': 'a strategy or a list of them' },
        ),
      ),
      fallback_http_statuses: Type.Optional(
        Type.Array(Type.Integer({ minimum: 400, maximum: 599 }), {
          minItems: 1,
          uniqueItems: true,
          description: 'Further statuses with which another instance is asked.',
        }),
      ),
      max_retries: Type.Optional(
        Type.Integer({ minimum: 0, description: 'Most instances that are asked after the first.' }),
      ),
      retry_on_failure_within_ms: Type.Optional(
        Type.Integer({ minimum: 1, description: 'A failure that took longer is passed on.' }),
      ),
      ...asking,
    },
    {
      'x-apisix': { additionalProperties: undefined },
      'x-unsupported': { semantic_opts: 'the choice by meaning', logging: 'summaries of requests in logs' },
    },
  ),
  validate({ instances }) {
    const names = new Set<string>()
    for (const one of instances) {
      if (names.has(one.name)) return `duplicate instance name: ${one.name}`
      names.add(one.name)
      const finding = instanceFinding(one)
      if (finding !== undefined) return `instance ${one.name}: ${finding}`
    }
    return undefined
  },
  create(config, host) {
    const client = new ModelClient(config)
    const instances = new Map(config.instances.map((one) => [one.name, one as Instance]))
    const groups = groupsOf(config.instances, (priority) =>
      host.takeTurn(`ai-proxy-multi:${host.binding.owner}:${priority}`),
    )
    const strategies = [config.fallback_strategy ?? []].flat() as string[]
    const statuses = new Set(config.fallback_http_statuses)
    const most = config.max_retries ?? config.instances.length
    const within = config.retry_on_failure_within_ms ?? Number.POSITIVE_INFINITY

    function falls({ status }: Outcome): boolean {
      if (statuses.has(status)) return true
      return (
        (status === 429 && strategies.includes('http_429')) ||
        (status >= 500 && strategies.includes('http_5xx'))
      )
    }

    async function serve(exchange: Exchange) {
      const call = modelCall(exchange)
      if (call === undefined) return undefined
      for (let tried = 0; ; tried++) {
        const begun = performance.now()
        const outcome = await client.ask(exchange, call.body, instances.get(call.instances[0]!)!, statuses)
        const isLast = tried >= most || call.instances.length === 1
        const isGone = exchange.outcome !== 'pending'
        if (isLast || isGone || !falls(outcome) || performance.now() - begun > within) return outcome.verdict
        outcome.verdict.relay?.close()
        call.instances.shift()
      }
    }

    return {
      async request(exchange) {
        const read = await readModelRequest(exchange, config.max_req_body_size)
        if ('refusal' in read) return read.refusal
        setModelCall(exchange, {
          body: read.body,
          instances: groups.flatMap((group) => group()),
          avoidsLimits: strategies.some((name) => name.includes('rate_limiting')),
          usage: undefined,
        })
      },
      serve,
    }
  },
})

/** For each priority, from the highest on, its instances: first the one whose turn it is. */
function groupsOf(
  instances: readonly { name: string; priority: number; weight: number }[],
  take: (priority: number) => number,
): (() => string[])[] {
  const priorities = [...new Set(instances.map(({ priority }) => priority))].sort((a, b) => b - a)
  return priorities.map((priority) => {
    const group = instances.filter((one) => one.priority === priority)
    const names = group.map(({ name }) => name)
    const turns = new WeightedTurns(
      group.map(({ weight }) => weight),
      () => take(priority),
    )
    return () => {
      const turn = turns.next()
      return turn < 1 ? [...names] : [names[turn]!, ...names.filter((_, index) => index !== turn)]
    }
  })
}
