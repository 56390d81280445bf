import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'
import { compileKey, counterPrefix, rejection, rejectionFields, setRetryAfter } from '../kit/limits/index.ts'

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
    'Buckets are exact across all threads of a node. They belong to the resource that holds the policy and to these ' +
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
        description: 'Where buckets are kept. Only `local`, exact across all threads of a node.',
      }),
    },
    openInApisix,
  ),
  validate({ policy }) {
    return policy === 'local' ? undefined : `policy: '${policy}' is not supported yet; only 'local' is`
  },
  create(config, host) {
    const { limiter, delays } = host
    const keyOf = compileKey(config.key_type, config.key, host)
    const prefix = counterPrefix('limit-req', host.binding.owner, config)
    const bucket = { perMs: config.rate / 1000, burst: config.burst }
    const rejected = rejection(config)

    function reject(exchange: Exchange, waitMs: number) {
      setRetryAfter(exchange, waitMs)
      return rejected
    }

    function request(exchange: Exchange) {
      const waitMs = limiter.leak(prefix + keyOf(exchange), bucket, 1)
      if (waitMs < 0) return reject(exchange, -waitMs)
      if (waitMs < shortestWaitMs || config.nodelay) return undefined
      return delays.wait(waitMs, exchange) ?? reject(exchange, waitMs)
    }
    if (config.nodelay) return { request }
    return { request, observe: (exchange) => delays.release(exchange) }
  },
})
