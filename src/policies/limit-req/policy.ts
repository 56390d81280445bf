import { definePolicy, type Exchange, Type, type Verdict } from '../kit/index.ts'
import {
  absentStore,
  compileKey,
  counterPrefix,
  redisFields,
  redisFinding,
  redisInApisix,
  rejection,
  rejectionFields,
  setRetryAfter,
  sharedDecisions,
} from '../kit/limits/index.ts'

/** Shorter waits are not worth a timer; APISIX's own threshold. */
const shortestWaitMs = 1

/** A leaky bucket for each key; configuration and answers of APISIX's `limit-req`. */
export default definePolicy({
  name: 'limit-req',
  summary: 'Limits the rate of requests with a leaky bucket: what comes too fast waits, then is rejected.',
  details:
    'Up to `rate` requests a second pass at once. Up to `burst` more wait until they keep that rate, or pass at ' +
    'once with `nodelay`; what is beyond is rejected with `rejected_code` and `{"error_msg":"..."}` when ' +
    '`rejected_msg` is set, else the page of that status, and with `Retry-After`, which APISIX does not send.\n\n' +
    'Local buckets are exact across all threads of a node. Buckets belong to the resource that holds the policy and to these ' +
    'settings. A request that waits is let go when its client goes away; a thread has at most 10000 waiting, and ' +
    'rejects what would be more.',
  stage: 'limit',
  priority: 1001,
  config: Type.Object(
    {
      rate: Type.Number({ exclusiveMinimum: 0, description: 'Requests a second.' }),
      burst: Type.Number({ minimum: 0, description: 'Requests beyond the rate that may wait.' }),
      key: Type.String({
        description: 'What requests are counted by. The client address stands in when it has no value.',
      }),
      key_type: Type.Enum(['var', 'var_combination'], {
        default: 'var',
        description: 'Whether `key` is one variable or a text with variables.',
      }),
      nodelay: Type.Boolean({ default: false, description: 'Let the burst pass without waiting.' }),
      ...rejectionFields,
      allow_degradation: Type.Boolean({
        default: false,
        description: 'Let requests pass while they cannot be counted, rather than answer 500.',
      }),
      policy: Type.Enum(['local', 'redis', 'redis-cluster'], {
        default: 'local',
        description:
          'Where buckets are kept: by this node, exactly across its threads, or in Redis for all nodes.',
      }),
      ...redisFields,
      absent_store: absentStore,
    },
    { 'x-apisix': { additionalProperties: undefined, ...redisInApisix(['redis', 'redis-cluster']) } },
  ),
  validate: redisFinding,
  create(config, host) {
    const { limiter, delays } = host
    const keyOf = compileKey(config.key_type, config.key, host)
    const prefix = counterPrefix('limit-req', host.binding.owner, config)
    const bucket = { perMs: config.rate / 1000, burst: config.burst }
    const rejected = rejection(config)
    const failed: Verdict = { status: 500 }
    const shared = sharedDecisions('limit-req', config, host)

    function reject(exchange: Exchange, waitMs: number) {
      setRetryAfter(exchange, waitMs)
      return rejected
    }

    function request(exchange: Exchange) {
      const key = prefix + keyOf(exchange)
      return shared === undefined ? pass(exchange, limiter.leak(key, bucket, 1)) : ask(exchange, key)
    }

    async function ask(exchange: Exchange, key: string) {
      const waitMs = await shared!.decide(
        (store) => store.leak(key, bucket, 1),
        () => limiter.leak(key, bucket, 1),
      )
      if (waitMs === 'closed') return failed
      return waitMs === 'open' || exchange.outcome !== 'pending' ? undefined : pass(exchange, waitMs)
    }

    function pass(exchange: Exchange, waitMs: number) {
      if (waitMs < 0) return reject(exchange, -waitMs)
      if (waitMs < shortestWaitMs || config.nodelay) return undefined
      return delays.wait(waitMs, exchange) ?? reject(exchange, waitMs)
    }
    if (config.nodelay) return { request }
    return { request, observe: (exchange) => delays.release(exchange) }
  },
})
