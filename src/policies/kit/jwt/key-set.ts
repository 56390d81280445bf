import { createPublicKey, type webcrypto } from 'node:crypto'
import type { RemoteDocument } from '../remote-document.ts'
import type { Token } from './token.ts'
import { type Algorithm, algorithms, fits, isSecret, keyVerifier, type Verifier } from './verifier.ts'

/** A published key, with a verifier for each algorithm that it may be used with. */
export interface FoundKey {
  readonly kid: string | undefined
  readonly verifiers: ReadonlyMap<string, Verifier>
}

/** Keys of a set that are looked at. */
const mostKeys = 100

/**
 * The keys of a JSON Web Key Set (RFC 7517). Which algorithms a key is for follows from its kind and from its own `alg`;
 * a token chooses among them only. Keys that a token brings or points at are never looked at, nor are shared keys.
 */
export class KeySet {
  readonly #document: RemoteDocument<readonly FoundKey[]>

  constructor(document: RemoteDocument<readonly FoundKey[]>) {
    this.#document = document
  }

  /** Whether one of the keys signed the token. @throws when no key is known */
  async verifies(token: Token): Promise<boolean> {
    const { kid } = token.header
    let candidates = matching(await this.#document.get(), kid)
    // A key that was put there since.
    if (candidates.length === 0) candidates = matching(await this.#document.refresh(), kid)
    const { alg } = token.header
    return candidates.some((key) => key.verifiers.get(String(alg))?.(token) === true)
  }
}

/** The keys that can verify something. @throws Error when it is no key set */
export function readKeySet(value: unknown): readonly FoundKey[] {
  const keys = (value as { keys?: unknown } | null | undefined)?.keys
  if (!Array.isArray(keys)) throw new Error('it is no key set')
  return keys.slice(0, mostKeys).flatMap((key) => readKey(key as webcrypto.JsonWebKey & { kid?: unknown }))
}

function readKey(jwk: webcrypto.JsonWebKey & { kid?: unknown }): FoundKey[] {
  if (typeof jwk !== 'object' || jwk === null || jwk.kty === 'oct') return []
  if (jwk.use !== undefined && jwk.use !== 'sig') return []
  if (Array.isArray(jwk.key_ops) && !jwk.key_ops.includes('verify')) return []
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    if (key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) return []
    const usable = algorithms.filter(
      (name) => !isSecret(name) && fits(key, name) && (jwk.alg === undefined || jwk.alg === name),
    )
    const verifiers = new Map(usable.map((name: Algorithm) => [name as string, keyVerifier(name, key)]))
    return [{ kid: typeof jwk.kid === 'string' ? jwk.kid : undefined, verifiers }]
  } catch {
    return []
  }
}

function matching(keys: readonly FoundKey[], kid: unknown): readonly FoundKey[] {
  if (kid === undefined) return keys
  const named = keys.filter((key) => key.kid === kid)
  // A set of a single key need not name it.
  return named.length > 0 || keys.length !== 1 || keys[0]!.kid !== undefined ? named : keys
}
