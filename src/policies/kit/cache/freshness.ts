/** May an answer be stored, and how long is it fresh (RFC 9111 3 and 4.2)? */
import type { Exchange, HeaderView } from '../../../proxy/exchange.ts'
import { type Directives, secondsOf } from './directives.ts'
import { parseHttpDate } from './http-date.ts'

export interface Lifetime {
  /** Seconds. */
  readonly age: number
  /** Milliseconds from now on. */
  readonly freshFor: number
}

/**
 * What the answer says itself.
 * @param standIn milliseconds for one that says nothing
 */
export function lifetimeOf(
  exchange: Exchange,
  directives: Directives,
  now: number,
  standIn: number,
): Lifetime {
  const { headers } = exchange.response
  const date = parseHttpDate(headers.get('date')) ?? now
  const age = initialAge(exchange, date, now)
  const said = saidLifetime(headers, directives, date)
  return { age, freshFor: said === undefined ? standIn : said - age * 1000 }
}

/** Milliseconds. */
function saidLifetime(headers: HeaderView, directives: Directives, date: number): number | undefined {
  const accel = headers.get('x-accel-expires')
  if (accel !== undefined && /^\d+$/.test(accel)) return Number(accel) * 1000
  const shared = secondsOf(directives, 's-maxage') ?? secondsOf(directives, 'max-age')
  if (shared !== undefined) return shared * 1000
  const expires = headers.getAll('expires')
  if (expires === undefined) return undefined
  // What is no date, such as `0`, is in the past (RFC 9111 5.3).
  const end = parseHttpDate(expires)
  return end === undefined ? 0 : end - date
}

/** RFC 9111 4.2.3. */
export function initialAge({ response, timings }: Exchange, date: number, now: number): number {
  const apparent = Math.max(0, now - date) / 1000
  // The first of several counts (RFC 9111 5.1).
  const said = /^\s*(\d+)\s*(?:,|$)/.exec(response.headers.get('age') ?? '')
  const delay = Math.max(0, timings.upstreamHead - timings.upstreamStart) / 1000
  const corrected = said === null ? 0 : Number(said[1]) + delay
  return Math.max(Math.floor(apparent), corrected)
}
