/** A bundle as it travels and as it is kept: keys, manifest and content, in one piece. */
import { applyJsonPatch, PatchProblem } from '../../config/json-patch.ts'
import { canonicalJson, sha256 } from './canonical.ts'
import { type Delegation, maxDelegationBytes, verifyDelegation } from './delegation.ts'
import type { PublicKey } from './keys.ts'
import { type Manifest, maxManifestBytes, verifyManifest } from './manifest.ts'
import { Refusal } from './refusal.ts'

export const bundleMediaType = 'application/vnd.sluice.bundle'

/** Bytes of everything in front of the content. */
export const maxBundleHeadBytes = maxDelegationBytes + maxManifestBytes + 2

/** Two lines of signed JSON, and bytes that the second line has the hash of. */
export interface Bundle {
  delegation: string
  manifest: string
  content: Buffer
}

/** What a bundle is held against; see `DelegationExpectation` and `ManifestExpectation`. */
export interface BundleExpectation {
  roots: readonly PublicKey[]
  group: string
  seen: { delegation: number; version: number; sha256?: string }
  /** Seconds since 1970; absent for what was kept. */
  now?: number
  /** Bytes that a configuration may have. */
  maxBytes: number
}

export interface VerifiedBundle {
  delegation: Delegation
  manifest: Manifest
  /** As many bytes as the manifest says, with its hash. */
  content: Buffer
}

export function writeBundle({ delegation, manifest, content }: Bundle): Buffer {
  return Buffer.concat([Buffer.from(`${delegation}\n${manifest}\n`), content])
}

/** @throws Refusal `malformed`, `too-large` */
export function readBundle(bytes: Buffer): Bundle {
  const first = lineEnd(bytes, 0, maxDelegationBytes)
  const second = lineEnd(bytes, first + 1, maxManifestBytes)
  return {
    delegation: bytes.toString('latin1', 0, first),
    manifest: bytes.toString('latin1', first + 1, second),
    content: bytes.subarray(second + 1),
  }
}

/** Everything but whether the configuration is a good one. @throws Refusal */
export function verifyBundle(bundle: Bundle, expected: BundleExpectation): VerifiedBundle {
  const { roots, group, seen, now, maxBytes } = expected
  const delegation = verifyDelegation(bundle.delegation, {
    roots,
    seen: seen.delegation,
    ...(now !== undefined && { now }),
  })
  const manifest = verifyManifest(bundle.manifest, {
    delegation,
    group,
    seen,
    ...(now !== undefined && { now }),
  })
  if (manifest.configuration.size > maxBytes) {
    throw new Refusal(
      'too-large',
      `the configuration has ${manifest.configuration.size} bytes, of ${maxBytes} allowed`,
    )
  }
  const { content } = bundle
  const said = contentOf(manifest)
  if (content.length !== said.size || sha256(content) !== said.sha256) {
    throw new Refusal('hash-mismatch', 'the content is not the one that was signed')
  }
  return { delegation, manifest, content }
}

/**
 * The whole configuration in canonical JSON.
 * @param base what the gateway has, where the content is a patch or nothing
 * @throws Refusal `patch-mismatch`: the whole is to be asked for; `hash-mismatch`
 */
export function configurationOf({ manifest, content }: VerifiedBundle, base?: string): string {
  const text = joined(manifest, content, base)
  if (sha256(text) !== manifest.configuration.sha256) {
    throw new Refusal('patch-mismatch', 'what comes out of the patch is not what was signed')
  }
  return text
}

function joined({ content: form }: Manifest, content: Buffer, base: string | undefined): string {
  if (form.form === 'whole') return content.toString('utf8')
  if (base === undefined) throw new Refusal('patch-mismatch', 'there is nothing that it could be applied to')
  if (form.form === 'unchanged') return base
  if (sha256(base) !== form.base.sha256) {
    throw new Refusal('patch-mismatch', 'the patch belongs to another configuration than the one here')
  }
  try {
    return canonicalJson(applyJsonPatch(JSON.parse(base), JSON.parse(content.toString('utf8'))))
  } catch (error) {
    if (!(error instanceof PatchProblem) && !(error instanceof SyntaxError) && !(error instanceof TypeError))
      throw error
    throw new Refusal('patch-mismatch', `the patch cannot be applied: ${error.message}`)
  }
}

const nothing = { size: 0, sha256: sha256('') }

function contentOf({ content, configuration }: Manifest): { size: number; sha256: string } {
  if (content.form === 'whole') return configuration
  return content.form === 'patch' ? content : nothing
}

function lineEnd(bytes: Buffer, from: number, limit: number): number {
  const end = bytes.subarray(from, from + limit + 1).indexOf(0x0a)
  if (end >= 0) return from + end
  if (bytes.length - from > limit) throw new Refusal('too-large', 'its signed lines are too long')
  throw new Refusal('malformed', 'it ends within its signed lines')
}
