/** What policies that store answers share of their configuration. */
import type { ZonePlaces } from '../../../config/cache-zones.ts'
import type { Exchange } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'

/** What is wrong with the zone that a configuration names; in the words of APISIX. */
export function cacheZoneFinding(
  zone: string,
  strategy: 'memory' | 'disk',
  zones: ZonePlaces,
): string | undefined {
  const place = zones.get(zone)
  if (place === undefined) return `cache_zone ${zone} not found`
  return place === strategy || place === 'elsewhere'
    ? undefined
    : `invalid or empty cache_zone for cache_strategy: ${strategy}`
}

/** Values of variables (`$name`) and texts; empty for a variable that has none. */
export function compileParts(
  parts: readonly string[],
  { variable }: Pick<PolicyHost, 'variable'>,
): (exchange: Exchange) => string[] {
  const values = parts.map((part) => (part.startsWith('$') ? variable(part.slice(1)) : () => part))
  return (exchange) => values.map((value) => value(exchange) ?? '')
}
