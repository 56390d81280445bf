/** The signed half of a bundle: what the other half is, for whom, and until when. */
import type { KeyObject } from 'node:crypto'
import { type Static, Type } from '../../config/type.ts'
import { canonicalJson } from './canonical.ts'
import { clockTolerance, type Delegation, delegatedKey, instant } from './delegation.ts'
import { readDocument } from './document.ts'
import { readJws, signJws, verifyJws } from './jws.ts'
import { verifierOf } from './keys.ts'
import { Refusal } from './refusal.ts'

const seconds = () => Type.Integer({ minimum: 0, maximum: 253_402_300_799 })
const digest = () => Type.String({ pattern: '^[0-9a-f]{64}$' })
const size = () => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const version = () => Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })

export const manifestSchema = Type.Object({
  /** Id of the gateway group. */
  group: Type.String({ minLength: 1, maxLength: 256 }),
  /** Rises with each publication of the group. */
  version: version(),
  /** Times are seconds since 1970. The same version is issued again before it expires. */
  issued: seconds(),
  expires: seconds(),
  /** Of the whole configuration in canonical JSON, in whatever form it travels. */
  configuration: Type.Object({ sha256: digest(), size: size() }),
  /** What follows the manifest. */
  content: Type.Union([
    Type.Object({ form: Type.Literal('whole') }),
    Type.Object({
      form: Type.Literal('patch'),
      /** Of the patch's own bytes. */
      sha256: digest(),
      size: size(),
      /** What it is to be applied to. */
      base: Type.Object({ version: version(), sha256: digest() }),
    }),
    /** The agent has this version; only the times are new. */
    Type.Object({ form: Type.Literal('unchanged') }),
  ]),
})

export type Manifest = Static<typeof manifestSchema>

/** Bytes of a manifest in its compact form. */
export const maxManifestBytes = 8 * 1024

/** @param key private, Ed25519, delegated by a root */
export function signManifest(manifest: Manifest, key: KeyObject): string {
  return signJws('sluice-bundle+jws', canonicalJson(manifest), key)
}

export interface ManifestExpectation {
  delegation: Delegation
  group: string
  /** The highest version that was seen, with its hash; version 0: none. */
  seen: { version: number; sha256?: string }
  /** Seconds since 1970; absent: what has expired is taken, as it is for what was kept. */
  now?: number
}

/** In the order of the checks: signature, key, group, version, expiry. @throws Refusal */
export function verifyManifest(text: string, expected: ManifestExpectation): Manifest {
  const { delegation, group, seen, now } = expected
  if (text.length > maxManifestBytes) throw new Refusal('too-large', 'the manifest is too large')
  const jws = readJws('sluice-bundle+jws', text)
  const key = delegatedKey(delegation, jws.keyId)
  verifyJws(jws, verifierOf(key.key))
  const manifest = readDocument(manifestSchema, jws.payload)
  const { issued } = manifest
  if (issued > key.not_after || (now !== undefined && now > key.not_after)) {
    throw new Refusal('key-expired', `the key that signed it was valid until ${instant(key.not_after)}`)
  }
  if (
    issued < key.not_before - clockTolerance ||
    (now !== undefined && now < key.not_before - clockTolerance)
  ) {
    throw new Refusal(
      'key-not-yet-valid',
      `the key that signed it is valid from ${instant(key.not_before)} on`,
    )
  }
  if (key.groups !== undefined && !key.groups.includes(group)) {
    throw new Refusal('key-of-other-group', 'the key that signed it may not sign for this group')
  }
  if (manifest.group !== group) throw new Refusal('other-group', 'it is the configuration of another group')
  if (manifest.version < seen.version) {
    throw new Refusal(
      'rolled-back',
      `it is version ${manifest.version}, but version ${seen.version} was seen before`,
    )
  }
  if (
    manifest.version === seen.version &&
    seen.sha256 !== undefined &&
    manifest.configuration.sha256 !== seen.sha256
  ) {
    throw new Refusal(
      'equivocation',
      `it is another version ${manifest.version} than the one that was seen before`,
    )
  }
  if (now !== undefined && manifest.expires <= now) {
    throw new Refusal('expired', `version ${manifest.version} expired at ${instant(manifest.expires)}`)
  }
  return manifest
}
