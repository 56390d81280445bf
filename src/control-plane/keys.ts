/**
 * The keys of a control plane, each in a file of its own: the authority for certificates, the key that signs
 * configuration, the document that delegates to it, and the root key that signed that document. The root key is always
 * under a passphrase; nothing needs it but a new document of keys, so its file may be kept elsewhere.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto'
import { Type } from '../config/type.ts'
import {
  type Authority,
  canonicalJson,
  type Delegation,
  issueCertificate,
  keyIdOf,
  type PublicKey,
  publicKeyOf,
  publicKeySchema,
  readDocument,
  sha256,
  signDelegation,
  type Trust,
  verifyDelegation,
} from '../config-sync/protocol/index.ts'
import { isSealed, sealText, unsealText } from './passphrase.ts'
import type { PrivateFolder } from './private-files.ts'
import { Seal } from './seal.ts'

const day = 24 * 3600
/** Seconds that a document of keys, and a key in it, are valid. */
const delegationLife = 90 * day
const authorityLife = 3650 * day
/** Clocks of gateways may be behind. */
const backdated = 3600

const files = {
  authority: 'ca.pem',
  authorityKey: 'ca.key',
  root: 'root.key',
  trust: 'trust.json',
  signing: 'signing.key',
  delegation: 'keys.jws',
  signers: 'signers.json',
  seal: 'seal.key',
} as const

/** Keys that signed once, for the versions that they signed. */
const signersSchema = Type.Array(Type.Object({ key: publicKeySchema, revoked: Type.Boolean() }))

export interface KeyOptions {
  folder: PrivateFolder
  /** Under which the keys lie that a running control plane needs; absent: they are only private to their owner. */
  passphrase?: string
  /** Seconds since 1970. */
  now: number
}

export interface ControlPlaneKeys {
  authority: Authority
  seal: Seal
  signing: KeyObject
  /** Compact, as bundles carry it. */
  delegation: string
  delegationContents: Delegation
  /** Bytes of the answer to `GET trust`, and their hash. */
  trust: string
  trustHash: string
  roots: readonly PublicKey[]
  /** Stands for all keys that ever signed here and are not revoked; without times. */
  ownKeys: Delegation
}

/** Makes what a control plane needs. @returns the passphrase of the root key, which is kept nowhere */
export function createKeys({ folder, passphrase, now }: KeyOptions): string {
  const rootPassphrase = randomBytes(24).toString('base64url')
  const root = generateKeyPairSync('ed25519').privateKey
  const authorityKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const ca = issueCertificate(
    {
      subject: { commonName: `Sluice control plane ${randomBytes(4).toString('hex')}` },
      publicKey: createPublicKey(authorityKey),
      notBefore: new Date((now - backdated) * 1000),
      notAfter: new Date((now + authorityLife) * 1000),
      use: 'authority',
    },
    { key: authorityKey },
  )
  const trust: Trust = { ca, roots: [publicKeyOf(root)] }
  const write = (name: string, text: string) =>
    folder.write(name, passphrase === undefined ? text : sealText(text, passphrase))
  folder.write(files.root, sealText(pemOf(root), rootPassphrase))
  write(files.authorityKey, pemOf(authorityKey))
  write(files.seal, Seal.newKey())
  folder.write(files.authority, ca)
  delegate({ folder, root, write, now, version: 1, keep: [], revoked: [] })
  // Last: a folder with it has all the others.
  folder.write(files.trust, canonicalJson(trust))
  return rootPassphrase
}

export const hasKeys = (folder: PrivateFolder): boolean => folder.has(files.trust)

/** @throws with the file that is missing or cannot be used */
export function openKeys({ folder, passphrase }: KeyOptions): ControlPlaneKeys {
  const text = (name: string): string => {
    const found = folder.read(name)
    if (found === undefined) throw new Error(`${name} is missing in ${folder.path}`)
    return found
  }
  const secret = (name: string): string => {
    const found = text(name)
    if (!isSealed(found)) return found
    if (passphrase === undefined) {
      throw new Error(`${name} is under a passphrase: give it in SLUICE_CONTROL_PLANE_PASSPHRASE`)
    }
    return unsealText(found, passphrase)
  }
  const trust = text(files.trust)
  const { ca, roots } = JSON.parse(trust) as Trust
  const delegation = text(files.delegation).trim()
  const delegationContents = verifyDelegation(delegation, { roots, seen: 0 })
  const signing = createPrivateKey(secret(files.signing))
  const own = keyIdOf(publicKeyOf(signing))
  if (!delegationContents.keys.some(({ key }) => keyIdOf(key) === own)) {
    throw new Error(`${files.delegation} does not name the key in ${files.signing}`)
  }
  const authorityKey = createPrivateKey(secret(files.authorityKey))
  if (!new X509Certificate(ca).checkPrivateKey(authorityKey)) {
    throw new Error(`${files.authorityKey} does not belong to ${files.authority}`)
  }
  return {
    authority: { certificate: ca, key: authorityKey },
    seal: new Seal(secret(files.seal).trim()),
    signing,
    delegation,
    delegationContents,
    trust,
    trustHash: sha256(trust),
    roots,
    ownKeys: ownKeys(readDocument(signersSchema, text(files.signers)), delegationContents),
  }
}

export interface RotationOptions extends KeyOptions {
  /** Of the root key. */
  rootPassphrase: string
  /** Text of the root key's file, where it is kept elsewhere. */
  root?: string
  /** Ids of keys that are lost. */
  revoke?: readonly string[]
}

/**
 * A new key that signs, and a new document that names it beside the ones in force, but for those that are revoked. A
 * control plane uses them from its next start on.
 * @throws WrongPassphrase
 */
export function rotateKeys(options: RotationOptions): Delegation {
  const { folder, passphrase, now, rootPassphrase, revoke = [] } = options
  const sealed = options.root ?? folder.read(files.root)
  if (sealed === undefined) throw new Error(`${files.root} is not in ${folder.path}: name it with --root-key`)
  const root = createPrivateKey(unsealText(sealed, rootPassphrase))
  const { roots } = JSON.parse(folder.read(files.trust)!) as Trust
  const id = keyIdOf(publicKeyOf(root))
  if (!roots.some((one) => keyIdOf(one) === id)) throw new Error('gateways do not know this root key')
  const before = verifyDelegation(folder.read(files.delegation)!.trim(), { roots, seen: 0 })
  const revoked = [...new Set([...before.revoked, ...revoke])]
  const keep = before.keys.filter(({ key, not_after: end }) => end > now && !revoked.includes(keyIdOf(key)))
  const write = (name: string, text: string) =>
    folder.write(name, passphrase === undefined ? text : sealText(text, passphrase))
  return delegate({ folder, root, write, now, version: before.version + 1, keep: keep.slice(0, 4), revoked })
}

interface DelegateOptions {
  folder: PrivateFolder
  root: KeyObject
  write(name: string, text: string): void
  now: number
  version: number
  keep: Delegation['keys']
  revoked: string[]
}

function delegate({ folder, root, write, now, version, keep, revoked }: DelegateOptions): Delegation {
  const signing = generateKeyPairSync('ed25519').privateKey
  const key = publicKeyOf(signing)
  const delegation: Delegation = {
    version,
    issued: now,
    expires: now + delegationLife,
    keys: [{ key, not_before: now - backdated, not_after: now + delegationLife }, ...keep],
    revoked,
  }
  const known = folder.read(files.signers)
  const signers = known === undefined ? [] : readDocument(signersSchema, known)
  const all = [...signers.filter((one) => keyIdOf(one.key) !== keyIdOf(key)), { key, revoked: false }].map(
    (one) => ({ ...one, revoked: one.revoked || revoked.includes(keyIdOf(one.key)) }),
  )
  folder.write(files.signers, `${JSON.stringify(all, null, 2)}\n`)
  // The document first: it names the key before, too, should this end in between.
  folder.write(files.delegation, `${signDelegation(delegation, root)}\n`)
  write(files.signing, pemOf(signing))
  return delegation
}

const endOfTime = 253_402_300_799

function ownKeys(
  signers: readonly { key: PublicKey; revoked: boolean }[],
  { revoked }: Delegation,
): Delegation {
  return {
    version: 1,
    issued: 0,
    expires: endOfTime,
    keys: signers.map(({ key }) => ({ key, not_before: 0, not_after: endOfTime })),
    revoked: [
      ...new Set([...revoked, ...signers.filter((one) => one.revoked).map(({ key }) => keyIdOf(key))]),
    ],
  }
}

const pemOf = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }) as string
