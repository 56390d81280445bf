/**
 * A request body that is read before its route is known, because the route depends on it. Conditions ask for it while
 * routes are compared; when one of them did, the engine reads the body and compares again.
 */

import type { Settings } from '../config/settings.ts'

/** Bytes of a body that each purpose may take; of this thread, from the settings in force. */
export const bodyLimits = { post_args: 64 * 1024 * 1024, graphql: 1024 * 1024 }

export function setBodyLimits({ limits }: Settings): void {
  bodyLimits.post_args = limits.post_args || Number.POSITIVE_INFINITY
  bodyLimits.graphql = limits.graphql || Number.POSITIVE_INFINITY
}

/** The largest limit of those variables that are read from the body; 0 when none is. */
export function bodyLimitOf(variables: readonly string[]): number {
  let limit = 0
  for (const name of variables) {
    if (/^post_arg[._]|^request_body$/.test(name)) limit = Math.max(limit, bodyLimits.post_args)
    else if (name.startsWith('graphql_')) limit = Math.max(limit, bodyLimits.graphql)
  }
  return limit
}

export class HeldBody {
  /** The whole body, one character a byte; null while it is not there. */
  text: string | null = null
  /** Largest limit that was asked for since the routes were last compared; 0: nobody asked. */
  wanted = 0
  private seen = 0

  /** @param declared bytes; -1 when that is not known */
  constructor(declared: number) {
    this.seen = declared
  }

  /** The body; null when it is larger than `limit`, or must be read first. */
  ask(limit: number): string | null {
    if (this.text !== null) return this.text.length <= limit ? this.text : null
    if (this.seen <= limit && limit > this.wanted) this.wanted = limit
    return null
  }

  complete(text: string): void {
    this.text = text
    this.wanted = 0
  }

  /** There are at least so many bytes, which is more than was wanted. */
  exceeded(bytes: number): void {
    this.seen = bytes
    this.wanted = 0
  }
}
