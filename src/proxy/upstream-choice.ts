import { httpSchemes, type RouteSpec, type ServiceSpec, type UpstreamSpec } from '../config/plan.ts'
import { errors, type GatewayError } from './errors.ts'
import type { UpstreamConnection } from './http1/upstream-connection.ts'
import type { Binding, Runtime } from './runtime.ts'
import type { Upstream } from './upstream/upstream.ts'

/**
 * The upstream that serves a route, as APISIX chooses it: the route's before its service's, and what is named by an id
 * before what is written in place. Undefined: neither has one.
 */
export function chosenUpstream(
  route: Pick<RouteSpec, 'upstream' | 'upstream_id'>,
  service: Pick<ServiceSpec, 'upstream' | 'upstream_id'> | undefined,
): { id: string } | { spec: UpstreamSpec } | undefined {
  for (const holder of [route, service]) {
    if (holder?.upstream_id !== undefined) return { id: holder.upstream_id }
    if (holder?.upstream !== undefined) return { spec: holder.upstream }
  }
  return undefined
}

/** What a policy chose for a request; empty: none did. */
interface Choice {
  readonly chosenUpstream: string
}

/** Where a request goes: the upstream that a policy chose, else that of its binding. */
export function upstreamFor(
  { chosenUpstream }: Choice,
  binding: Binding,
  runtime: Pick<Runtime, 'upstream'>,
): Upstream<UpstreamConnection> | null {
  const upstream = chosenUpstream === '' ? binding.upstream : runtime.upstream(chosenUpstream)
  return upstream !== null && httpSchemes.has(upstream.spec.scheme) ? upstream : null
}

/** What the client is told where there is none. */
export function missingUpstream(
  { chosenUpstream }: Choice,
  binding: Binding,
  runtime: Pick<Runtime, 'upstream'>,
): GatewayError {
  const upstream = chosenUpstream === '' ? binding.upstream : runtime.upstream(chosenUpstream)
  if (upstream !== null) return errors.upstreamSpeaksNoHttp
  return chosenUpstream !== '' || binding.namesUpstream ? errors.unknownUpstream : errors.noUpstream
}
