/** Max-Forwards, which counts the hops that an OPTIONS request may still take (RFC 9110 7.6.2). */
import { headerName } from '../headers.ts'
import type { HttpExchange } from '../http-exchange.ts'

const maxForwards = headerName('Max-Forwards')

/** Takes one hop off. @returns false when none is left, so that the answer has to be ours */
export function takeHop(exchange: HttpExchange): boolean {
  if (exchange.method !== 'OPTIONS') return true
  const value = exchange.headers.get(maxForwards.lower)
  if (value === undefined || !/^\d{1,9}$/.test(value)) return true
  if (Number(value) === 0) return false
  exchange.headers.set(maxForwards, Number(value) - 1)
  return true
}
