import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { suite, test } from 'node:test'
import { type BundleExpectation, configurationOf, readBundle, verifyBundle, writeBundle } from './bundle.ts'
import { canonicalJson, sha256 } from './canonical.ts'
import { type Delegation, signDelegation } from './delegation.ts'
import { keyIdOf, publicKeyOf } from './keys.ts'
import { type Manifest, signManifest } from './manifest.ts'
import { patchBetween } from './patch.ts'
import { Refusal, type RefusalCode } from './refusal.ts'

const now = 1_790_000_000
const hour = 3600
const root = generateKeyPairSync('ed25519').privateKey
const signer = generateKeyPairSync('ed25519').privateKey
const other = generateKeyPairSync('ed25519').privateKey

const configuration = canonicalJson({
  resources: {
    routes: [
      { id: '1', uri: '/a' },
      { id: '2', uri: '/b' },
    ],
  },
})
const changed = canonicalJson({
  resources: {
    routes: [
      { id: '1', uri: '/a' },
      { id: '2', uri: '/c' },
    ],
  },
})

const expectation: BundleExpectation = {
  roots: [publicKeyOf(root)],
  group: 'edge',
  seen: { delegation: 0, version: 0 },
  now,
  maxBytes: 1_000_000,
}

interface Parts {
  delegation?: Partial<Delegation>
  manifest?: Partial<Manifest>
  root?: KeyObject
  signer?: KeyObject
  content?: Buffer
}

function bundle(parts: Parts = {}): Buffer {
  const content = parts.content ?? Buffer.from(configuration)
  return writeBundle({
    delegation: signDelegation({ ...keys(signer), ...parts.delegation }, parts.root ?? root),
    manifest: signManifest({ ...whole(configuration), ...parts.manifest }, parts.signer ?? signer),
    content,
  })
}

function keys(key: KeyObject, times: Partial<Delegation['keys'][number]> = {}): Delegation {
  return {
    version: 3,
    issued: now - hour,
    expires: now + 100 * hour,
    keys: [{ key: publicKeyOf(key), not_before: now - hour, not_after: now + 50 * hour, ...times }],
    revoked: [],
  }
}

function whole(text: string): Manifest {
  return {
    group: 'edge',
    version: 7,
    issued: now - 60,
    expires: now + 24 * hour,
    configuration: { sha256: sha256(text), size: Buffer.byteLength(text) },
    content: { form: 'whole' },
  }
}

function refused(code: RefusalCode, bytes: Buffer, expected = expectation) {
  const open = () => configurationOf(verifyBundle(readBundle(bytes), expected))
  assert.throws(open, (error) => {
    assert.ok(error instanceof Refusal, String(error))
    assert.equal(error.code, code, error.message)
    return true
  })
}

suite('a bundle', () => {
  test('with everything in order is what was signed', () => {
    const verified = verifyBundle(readBundle(bundle()), expectation)
    assert.equal(configurationOf(verified), configuration)
    assert.equal(verified.manifest.version, 7)
  })

  test('with any bit of it changed is refused', () => {
    const bytes = bundle()
    for (let at = 0; at < bytes.length; at++) {
      const broken = Buffer.from(bytes)
      broken[at] = broken[at]! ^ (1 << (at % 8))
      assert.throws(
        () => configurationOf(verifyBundle(readBundle(broken), expectation)),
        Refusal,
        `byte ${at}`,
      )
    }
  })

  test('cut off anywhere is refused', () => {
    const bytes = bundle()
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(
        () => verifyBundle(readBundle(bytes.subarray(0, end)), expectation),
        Refusal,
        `byte ${end}`,
      )
    }
  })

  const cases: [string, RefusalCode, Parts, Partial<BundleExpectation>?][] = [
    ['keys by a root that is not pinned', 'unknown-root', { root: other }],
    ['a signature by a key that no root named', 'unknown-key', { signer: other }],
    [
      'a signature by a revoked key',
      'key-revoked',
      { delegation: { revoked: [keyIdOf(publicKeyOf(signer))] } },
    ],
    ['an older document of keys', 'keys-rolled-back', {}, { seen: { delegation: 4, version: 0 } }],
    ['a document of keys that expired', 'keys-expired', { delegation: { expires: now } }],
    ['a key that is not valid any more', 'key-expired', { delegation: keys(signer, { not_after: now - 1 }) }],
    [
      'a key that is not valid yet',
      'key-not-yet-valid',
      { delegation: keys(signer, { not_before: now + 3 * hour }) },
    ],
    ['a key for other groups', 'key-of-other-group', { delegation: keys(signer, { groups: ['core'] }) }],
    ['the configuration of another group', 'other-group', { manifest: { group: 'core' } }],
    ['a lower version', 'rolled-back', {}, { seen: { delegation: 3, version: 8 } }],
    [
      'another configuration under the same version',
      'equivocation',
      {},
      { seen: { delegation: 3, version: 7, sha256: sha256('x') } },
    ],
    ['a time that is over', 'expired', { manifest: { expires: now } }],
    ['another content', 'hash-mismatch', { content: Buffer.from(changed) }],
    ['more bytes than are allowed', 'too-large', {}, { maxBytes: 10 }],
  ]
  for (const [what, code, parts, expected] of cases) {
    test(`with ${what} is refused: ${code}`, () =>
      refused(code, bundle(parts), { ...expectation, ...expected }))
  }

  test('of a signature for something else is refused', () => {
    const { manifest, content } = readBundle(bundle())
    refused('malformed', writeBundle({ delegation: manifest, manifest, content }))
  })

  test('by an old and by a new key is taken while both are delegated', () => {
    const both = { keys: [...keys(signer).keys, ...keys(other).keys] }
    for (const key of [signer, other]) {
      verifyBundle(readBundle(bundle({ delegation: both, signer: key })), expectation)
    }
  })

  test('is taken an hour before the control plane says it was issued', () => {
    verifyBundle(readBundle(bundle()), { ...expectation, now: now - 2 * hour })
  })

  test('that was kept is taken after its time, but not after its key was revoked', () => {
    const { now: _, ...kept } = expectation
    const late = { expires: now - hour }
    verifyBundle(readBundle(bundle({ manifest: late, delegation: late })), kept)
    refused('key-revoked', bundle({ delegation: { revoked: [keyIdOf(publicKeyOf(signer))] } }), kept)
  })
})

suite('a patch', () => {
  const patch = Buffer.from(canonicalJson(patchBetween(JSON.parse(configuration), JSON.parse(changed))))
  const content = {
    form: 'patch',
    sha256: sha256(patch),
    size: patch.length,
    base: { version: 6, sha256: sha256(configuration) },
  } as const
  const patched = () =>
    verifyBundle(
      readBundle(bundle({ manifest: { ...whole(changed), content }, content: patch })),
      expectation,
    )

  test('leads to the configuration that was signed', () => {
    assert.equal(configurationOf(patched(), configuration), changed)
  })

  for (const [what, base] of [
    ['nothing', undefined],
    ['another configuration', changed],
  ] as const) {
    test(`against ${what} asks for the whole`, () => {
      assert.throws(() => configurationOf(patched(), base), { code: 'patch-mismatch' })
    })
  }

  test('that leads to something else than was signed asks for the whole', () => {
    const lies = { ...whole(configuration), content, version: 9 }
    const verified = verifyBundle(readBundle(bundle({ manifest: lies, content: patch })), expectation)
    assert.throws(() => configurationOf(verified, configuration), { code: 'patch-mismatch' })
  })
})

test('the same configuration again has no content', () => {
  const unchanged = { ...whole(configuration), content: { form: 'unchanged' } as const }
  const verified = verifyBundle(
    readBundle(bundle({ manifest: unchanged, content: Buffer.alloc(0) })),
    expectation,
  )
  assert.equal(configurationOf(verified, configuration), configuration)
  assert.throws(() => configurationOf(verified, changed), { code: 'patch-mismatch' })
})
