import { hash } from 'node:crypto'

/** What is known of a token whose signature was found good. */
export interface VerifiedToken {
  /** What it was verified with: good for no other object, so that a credential that changes or goes takes it along. */
  readonly credential: object
  /** The claim that named the credential, and what it said. */
  readonly claim: string
  readonly key: string
  /** Its times; whether they are met is asked with every use. */
  readonly times: Readonly<Record<string, unknown>>
}

/**
 * Tokens that were verified lately, because clients show the same one with every call and a signature costs more than the
 * rest of a request. A token is found by its digest, of all its bytes, and only good ones are kept: nobody gets in by
 * looking like another, and what is wrong is verified, and refused, each time. What may change between two calls - the
 * time, the consumer, its key - is not kept here and has to be looked at again.
 *
 * Two generations: when the younger one is full it becomes the older one, and what nobody asked for meanwhile is gone.
 */
export class VerifiedTokens {
  readonly #most: number
  #young = new Map<string, VerifiedToken>()
  #old = new Map<string, VerifiedToken>()

  /** @param most tokens of one generation */
  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** By what `digestOf` gives. */
  find(digest: string): VerifiedToken | undefined {
    const young = this.#young.get(digest)
    if (young !== undefined) return young
    const old = this.#old.get(digest)
    if (old !== undefined) this.keep(digest, old)
    return old
  }

  keep(digest: string, token: VerifiedToken): void {
    if (this.#young.size >= this.#most) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(digest, token)
  }
}

/** Thirty-two characters: the text itself could hold on to the whole head that it is a part of. */
export const digestOf = (text: string): string => hash('sha256', text, 'binary')
