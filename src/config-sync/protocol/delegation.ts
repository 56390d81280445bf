/**
 * The document of signing keys: a root key says which other keys may sign configuration, for which groups and how long.
 * Root keys are pinned at registration and need never be where the control plane runs.
 */
import type { KeyObject } from 'node:crypto'
import { type Static, Type } from '../../config/type.ts'
import { canonicalJson } from './canonical.ts'
import { readDocument } from './document.ts'
import { readJws, signJws, verifyJws } from './jws.ts'
import { keyIdOf, type PublicKey, publicKeySchema, verifierOf } from './keys.ts'
import { Refusal } from './refusal.ts'

const seconds = () => Type.Integer({ minimum: 0, maximum: 253_402_300_799 })
const keyId = () => Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })

export const delegationSchema = Type.Object({
  /** Rises with each document. A gateway takes none below the highest that it has seen. */
  version: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  /** Times are seconds since 1970. */
  issued: seconds(),
  expires: seconds(),
  keys: Type.Array(
    Type.Object({
      key: publicKeySchema,
      not_before: seconds(),
      not_after: seconds(),
      /** Groups that it may sign for; without this member: all. */
      groups: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1 })),
    }),
    { maxItems: 16 },
  ),
  /** Keys that were stolen or lost: nothing that they signed is taken, however old it is. */
  revoked: Type.Array(keyId(), { maxItems: 256 }),
})

export type Delegation = Static<typeof delegationSchema>
export type DelegatedKey = Delegation['keys'][number]

/** Bytes of a document of keys in its compact form. */
export const maxDelegationBytes = 32 * 1024

/**
 * Clocks may differ by this many seconds where something is not valid YET: certificates and keys of a control plane
 * whose clock runs ahead. Nothing is tolerated where something is not valid any more.
 */
export const clockTolerance = 2 * 3600

/** @param root private, Ed25519 */
export function signDelegation(delegation: Delegation, root: KeyObject): string {
  return signJws('sluice-keys+jws', canonicalJson(delegation), root)
}

/** What a document of keys is held against. */
export interface DelegationExpectation {
  roots: readonly PublicKey[]
  /** The highest version that was seen; 0: none. */
  seen: number
  /** Seconds since 1970; absent: what has expired is taken, as it is for what was kept. */
  now?: number
}

/** @throws Refusal */
export function verifyDelegation(text: string, { roots, seen, now }: DelegationExpectation): Delegation {
  if (text.length > maxDelegationBytes) throw new Refusal('too-large', 'the document of keys is too large')
  const jws = readJws('sluice-keys+jws', text)
  const root = roots.find((candidate) => keyIdOf(candidate) === jws.keyId)
  if (root === undefined) {
    throw new Refusal('unknown-root', 'the document of keys is signed by a root key that is not pinned here')
  }
  verifyJws(jws, verifierOf(root))
  const delegation = readDocument(delegationSchema, jws.payload)
  if (delegation.version < seen) {
    throw new Refusal(
      'keys-rolled-back',
      `the document of keys has version ${delegation.version}; version ${seen} was seen before`,
    )
  }
  if (now !== undefined && delegation.expires <= now) {
    throw new Refusal('keys-expired', `the document of keys expired at ${instant(delegation.expires)}`)
  }
  return delegation
}

/** The key of that name. @throws Refusal `key-revoked`, `unknown-key` */
export function delegatedKey(delegation: Delegation, id: string): DelegatedKey {
  if (delegation.revoked.includes(id)) throw new Refusal('key-revoked', 'the key that signed it is revoked')
  const found = delegation.keys.find(({ key }) => keyIdOf(key) === id)
  if (found === undefined) {
    throw new Refusal('unknown-key', 'the key that signed it is not in the document of keys')
  }
  return found
}

/** `2026-11-22T20:15:00Z` */
export function instant(time: number): string {
  return new Date(time * 1000).toISOString().replace('.000Z', 'Z')
}
