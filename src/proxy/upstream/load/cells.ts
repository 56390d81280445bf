/** Names of the cells in the load table. */
import type { UpstreamSpec } from '../../../config/plan.ts'

/** @param name `endpointIdentity` for what is known of an endpoint */
export function cellName(upstream: string, name: string): string {
  return `${upstream} ${name}`
}

export function breakerCell(upstream: string): string {
  return cellName(upstream, 'breaker')
}

/** @param breaker `breakerCell` */
export function poolsCell(breaker: string): string {
  return cellName(breaker, 'pools')
}

/** Whether threads have to tell each other what they have under way, or how fast it was answered. */
export function tracksLoad({ type, hash }: UpstreamSpec): boolean {
  return type === 'least_conn' || type === 'ewma' || (type === 'chash' && hash.balance_factor > 0)
}
