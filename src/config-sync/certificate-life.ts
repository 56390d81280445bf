/** The life of a registration's certificate: when to warn, when to renew. */
import type { X509Certificate } from 'node:crypto'

const day = 24 * 3600

/** Days before the end at which a warning is due. */
const warnings = [30, 14, 7, 1] as const

/** Seconds since 1970. */
export interface Life {
  from: number
  to: number
}

export function lifeOf({ validFromDate, validToDate }: X509Certificate): Life {
  return { from: validFromDate.getTime() / 1000, to: validToDate.getTime() / 1000 }
}

/** The smallest of the warnings that are due; 0: it has expired; undefined: none is due. */
export function warningDue({ to }: Life, now: number): number | undefined {
  if (now >= to) return 0
  return warnings.findLast((days) => to - now <= days * day)
}

/** From two thirds of its life on, until it ends. */
export function renewalDue({ from, to }: Life, now: number): boolean {
  return now < to && now >= from + ((to - from) * 2) / 3
}
