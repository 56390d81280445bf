/** What is decided about a request from its head alone, before and while it is routed. */
import type { Settings } from '../../config/settings.ts'
import { errors, type GatewayError } from '../errors.ts'
import type { HttpExchange } from '../http-exchange.ts'
import type { Binding, Runtime } from '../runtime.ts'
import { withoutParameters } from '../target.ts'
import type { Head } from './head.ts'
import type { RequestTarget } from './request-target.ts'

/** Why a request is refused before anything else looks at it, or null. Fills the target. */
export function refusalOf(
  head: Head,
  target: RequestTarget,
  { limits, paths }: Settings,
): GatewayError | null {
  // TRACE would show a client what trusted hops add; CONNECT would make a tunnel of us (RFC 9110 9.3.6, 9.3.8).
  if (head.method === 'CONNECT' || head.method === 'TRACE') return errors.methodNotAllowed
  const fault = target.read(head, paths)
  if (fault !== null) return fault
  if (head.expectUnknown && head.minor === 1) return errors.unknownExpectation
  return limits.body > 0 && head.contentLength > limits.body ? errors.bodyTooLarge : null
}

/** `/guarded;x` must not pass as an open path to an origin that reads `/guarded`. */
export function sameWithoutParameters(
  exchange: HttpExchange,
  binding: Binding | null,
  runtime: Runtime,
  rules: Settings['paths'],
): boolean {
  const path = withoutParameters(exchange.path, rules)
  return path !== null && runtime.match(exchange, path)?.routeId === binding?.routeId
}

/** What the request line to the upstream says; null when what is left after a prefix is no path of its own. */
export function forwardedTarget(
  exchange: HttpExchange,
  target: RequestTarget,
  prefix: string,
  rules: Settings['paths'],
): string | null {
  if (exchange.newPath !== '') return withQuery(exchange.newPath, exchange.query)
  const own = target.forUpstream(prefix, rules)
  return own !== null && exchange.queryChanged ? withQuery(own, exchange.query) : own
}

function withQuery(target: string, query: string): string {
  const path = target.split('?', 1)[0] as string
  return query === '' ? path : `${path}?${query}`
}

/** A WebSocket handshake (RFC 6455 4.1). */
export function asksForWebSocket(head: Head): boolean {
  return (
    head.upgradeField >= 0 &&
    head.connectionUpgrade &&
    head.minor === 1 &&
    head.method === 'GET' &&
    head.value(head.upgradeField).toLowerCase() === 'websocket'
  )
}
