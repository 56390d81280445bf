/** The upstream of a request with its endpoints as they are now. */
import type { Exchange } from '../exchange.ts'
import type { Binding } from '../runtime.ts'
import { compileHashKey } from '../upstream/hash-key.ts'
import type { Timeouts } from '../upstream/timeouts.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { ExplainedUpstream } from './explanation.ts'

export function explainUpstream(upstream: Upstream, binding: Binding, exchange: Exchange): ExplainedUpstream {
  return upstreamFacts(upstream, binding.timeoutsOf(upstream), exchange)
}

export function upstreamFacts(
  upstream: Upstream,
  { connect, send, read }: Timeouts,
  exchange: Exchange,
): ExplainedUpstream {
  const { spec, endpoints, retries } = upstream
  return {
    key: spec.key,
    type: spec.type,
    ...(spec.type === 'chash' && {
      hash: { on: hashedName(spec.hash), key: compileHashKey(spec.hash)(exchange) },
    }),
    pass_host: spec.pass_host,
    retries,
    timeout: { connect: connect / 1000, send: send / 1000, read: read / 1000 },
    endpoints: endpoints.map((endpoint) => ({
      address: endpoint.label,
      weight: endpoint.weight,
      priority: endpoint.priority,
      usable: endpoint.usable,
      active: endpoint.underWay,
      resolved: endpoint.knownAddresses.filter((address) => address !== endpoint.host),
    })),
    next: upstream.certain(exchange)?.label ?? null,
  }
}

function hashedName({ on, key }: { on: string; key: string }): string {
  return key === '' ? on : `${on} ${key}`
}
