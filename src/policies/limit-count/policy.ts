import { definePolicy, Type } from '../kit/index.ts'
import {
  compileCounting,
  countingFields,
  countingFinding,
  countingInApisix,
  countingMetadata,
  countingWording,
} from '../kit/limits/counting.ts'

/** A number of requests in a window; configuration and answers of APISIX's `limit-count`. */
export default definePolicy({
  name: 'limit-count',
  summary: 'Limits the number of requests in a window of time.',
  details:
    'A rejection has the status `rejected_code` and the body `{"error_msg":"..."}` when `rejected_msg` ' +
    'is set, else the page of that status. Every answer carries `X-RateLimit-Limit`, ' +
    '`X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds, up to two decimals), unless `quota_headers` asks for ' +
    'others or `show_limit_quota_header` for none; a rejection also `Retry-After`, which APISIX does not send. Each of ' +
    '`rules` has fields of its own.\n\nLocal counters are exact across all threads of a node, and run on a clock that ' +
    'nobody sets. Counters belong to the resource that holds the policy and to these settings, so that other changes of ' +
    'the resource do not reset them. In Redis each decision is one script on one key with the time of the server.\n\n' +
    '[Limits](../guides/limits.md) tells what is exact, what is not and by how much, and what happens while Redis is away.',
  stage: 'limit',
  priority: 1002,
  version: 0.5,
  config: Type.Object(countingFields, { 'x-apisix': countingInApisix() }),
  metadata: countingMetadata,
  wording: countingWording,
  validate: countingFinding,
  sharedState: ({ group }) => group,
  create(config, host) {
    const charge = compileCounting('limit-count', config, host)
    return { request: (exchange) => charge(exchange, 1) }
  },
})
