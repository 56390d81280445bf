/** What secret managers have in common. */
import type { Environment } from '../config/environment.ts'

/** What a manager has under a name: a text, or members. */
export type Secret = { readonly text: string } | { readonly members: Readonly<Record<string, unknown>> }

/** One way to understand a key: the name of a secret, and which of its members is meant; the whole when absent. */
export interface Candidate {
  readonly name: string
  readonly member?: string
}

export interface SecretManager {
  /** In the order in which they are tried. @throws SecretFailure when the key has a form that it never has */
  candidates(key: string): readonly Candidate[]
  /** Undefined: there is no secret of that name. @throws SecretFailure when it cannot be said. */
  read(name: string, signal: AbortSignal): Promise<Secret | undefined>
}

/** What managers take from the process. */
export interface Surroundings {
  readonly env: Environment
  /** What relative paths are relative to. */
  readonly cwd: string
  /** Wall clock, epoch milliseconds. */
  now(): number
}

/**
 * `absent`: there is certainly no such secret. `unavailable`: it cannot be said, so that a value that was read before
 * still counts. `unreachable`: the same, and it will be so for other secrets of that manager.
 */
export type FailureKind = 'absent' | 'unavailable' | 'unreachable'

/** Why there is no value, in words that hold none. */
export class SecretFailure extends Error {
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string) {
    super(message)
    this.kind = kind
  }
}

/** The candidates of managers whose names may hold slashes: the longest name counts that exists. */
export function longestNameFirst(key: string): Candidate[] {
  const segments = key.split('/')
  return segments.map((_, dropped) => {
    const end = segments.length - dropped
    const member = segments.slice(end).join('/')
    return { name: segments.slice(0, end).join('/'), ...(member !== '' && { member }) }
  })
}
