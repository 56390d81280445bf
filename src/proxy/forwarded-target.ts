/** Targets that policies make for the upstream's copy of a request. */

/** What a policy made of a request cannot be written as a request line. */
export class InvalidTargetError extends Error {
  readonly code = 'invalid_target'
}

/** An absolute path in visible ASCII without a query or a fragment: nothing in it ends a request line early. */
export function isForwardablePath(path: string): boolean {
  return /^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/.test(path)
}
