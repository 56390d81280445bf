import type { Timeout } from '../../config/plan.ts'

/** Milliseconds. */
export interface Timeouts {
  readonly connect: number
  readonly send: number
  readonly read: number
}

/** From the seconds of a configuration. */
export function inMilliseconds({ connect, send, read }: Timeout): Timeouts {
  return { connect: connect * 1000, send: send * 1000, read: read * 1000 }
}
