/**
 * The last configuration that was in force, with its signatures, for starts without a control plane; and the highest
 * versions that were seen, so that nothing older ever takes its place. What is about to be put to work lies beside it, so
 * that a gateway that is killed in that moment does not go back behind what clients saw already.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from '../config/type.ts'
import { makePrivateFolder, renamePrivateFile, replacePrivateFile } from './private-file.ts'
import { canonicalJson, sha256 } from './protocol/canonical.ts'
import { verifyDelegation } from './protocol/delegation.ts'
import { readDocument } from './protocol/document.ts'
import { readJws } from './protocol/jws.ts'
import { type Manifest, verifyManifest } from './protocol/manifest.ts'
import { Refusal } from './protocol/refusal.ts'
import type { Registration } from './registration.ts'

const count = () => Type.Integer({ minimum: 0 })

const marksSchema = Type.Object({
  /** Id of the registration. */
  registration: Type.String(),
  /** Of this gateway, among those with the same registration. */
  instance: Type.String(),
  /** The newest document of keys, as it was signed; empty: none yet. */
  keys: Type.String(),
  /** Highest versions that were seen. */
  delegation: count(),
  version: count(),
  /** Of that version; empty: there is none. */
  sha256: Type.String(),
  /** The latest time at which anything that was verified was issued. */
  time: count(),
})
export type Marks = Static<typeof marksSchema>

/** A configuration as it is kept: both signed lines, and the whole canonical text. */
export interface KeptConfiguration {
  delegation: string
  manifest: string
  configuration: string
}

export interface VerifiedConfiguration extends KeptConfiguration {
  contents: Manifest
}

/** In force, or about to be. */
export type Standing = 'configuration' | 'next'

type Identity = Pick<Registration, 'id' | 'storeKey' | 'roots' | 'group'>

export class ConfigurationStore {
  readonly #folder: string
  readonly #identity: Identity

  /** @param folder of this gateway alone */
  constructor(folder: string, identity: Identity) {
    this.#folder = folder
    this.#identity = identity
  }

  /**
   * What was seen so far.
   * @param instance for a gateway that has nothing yet
   * @throws Refusal when there is a configuration and what was seen is missing or was changed
   */
  async marks(instance: string): Promise<Marks> {
    const bytes = await this.#read('seen')
    if (bytes !== undefined) {
      const marks = readDocument(marksSchema, bytes)
      if (marks.registration === this.#identity.id) return marks
    }
    const fresh = {
      registration: this.#identity.id,
      instance,
      keys: '',
      delegation: 0,
      version: 0,
      sha256: '',
      time: 0,
    }
    const isThere = async (file: Standing) => (await this.#read(file, 'configuration')) !== undefined
    if (bytes === undefined && ((await isThere('configuration')) || (await isThere('next')))) {
      throw new Refusal('rolled-back', 'the file `seen`, which says what was in force last, is missing')
    }
    await this.saveMarks(fresh)
    return fresh
  }

  async saveMarks(marks: Marks): Promise<void> {
    await this.#write('seen', 'seen', Buffer.from(canonicalJson(marks)))
  }

  /**
   * The configuration that was kept, with everything about it verified but its times.
   * @returns undefined when none was kept
   * @throws Refusal
   */
  async load(marks: Marks, file: Standing = 'configuration'): Promise<VerifiedConfiguration | undefined> {
    const bytes = await this.#read(file, 'configuration')
    if (bytes === undefined) return undefined
    const kept = parse(bytes)
    const { roots, group } = this.#identity
    const delegation = verifyDelegation(kept.delegation, { roots, seen: 0 })
    const seen = { version: marks.version, ...(marks.sha256 !== '' && { sha256: marks.sha256 }) }
    const contents = verifyManifest(kept.manifest, { delegation, group: group.id, seen })
    if (sha256(kept.configuration) !== contents.configuration.sha256) {
      throw new Refusal('hash-mismatch', 'it is not the configuration that was signed')
    }
    if (marks.keys !== '') {
      const newest = verifyDelegation(marks.keys, { roots, seen: 0 })
      if (newest.revoked.includes(readJws('sluice-bundle+jws', kept.manifest).keyId)) {
        throw new Refusal('key-revoked', 'the key that signed it was revoked')
      }
    }
    return { ...kept, contents }
  }

  /** It is in force. */
  async save(kept: KeptConfiguration): Promise<void> {
    await this.#write('configuration', 'configuration', bytesOf(kept))
    await this.discard()
  }

  /** It is about to be put to work. */
  async prepare(kept: KeptConfiguration): Promise<void> {
    await this.#write('next', 'configuration', bytesOf(kept))
  }

  /** What was prepared is in force. */
  async adopt(): Promise<void> {
    await renamePrivateFile(join(this.#folder, 'next'), join(this.#folder, 'configuration'))
  }

  /** What was prepared is not put to work. */
  async discard(): Promise<void> {
    await rm(join(this.#folder, 'next'), { force: true })
  }

  /**
   * @param name what its code is for
   * @returns what stands behind the code; undefined: there is no such file. @throws Refusal
   */
  async #read(file: string, name = file): Promise<Buffer | undefined> {
    const bytes = await readFile(join(this.#folder, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (bytes === undefined) return undefined
    const end = bytes.indexOf(0x0a)
    const content = bytes.subarray(end + 1)
    const said = Buffer.from(bytes.toString('latin1', 0, Math.max(0, end)), 'hex')
    const code = this.#codeOf(name, content)
    if (said.length !== code.length || !timingSafeEqual(said, code)) {
      throw new Refusal(
        'hash-mismatch',
        `the file \`${file}\` was changed, is incomplete, or belongs to another registration`,
      )
    }
    return content
  }

  async #write(file: string, name: string, content: Buffer): Promise<void> {
    await makePrivateFolder(this.#folder)
    const code = Buffer.from(`${this.#codeOf(name, content).toString('hex')}\n`)
    await replacePrivateFile(join(this.#folder, file), Buffer.concat([code, content]))
  }

  #codeOf(name: string, content: Buffer): Buffer {
    const key = hash('sha256', `sluice kept ${name}\0${this.#identity.storeKey}`, 'buffer')
    return createHmac('sha256', key).update(content).digest()
  }
}

const bytesOf = ({ delegation, manifest, configuration }: KeptConfiguration) =>
  Buffer.from(`${delegation}\n${manifest}\n${configuration}`)

function parse(bytes: Buffer): KeptConfiguration {
  const first = bytes.indexOf(0x0a)
  const second = bytes.indexOf(0x0a, first + 1)
  if (first < 0 || second < 0) throw new Refusal('malformed', 'it ends within its signed lines')
  return {
    delegation: bytes.toString('latin1', 0, first),
    manifest: bytes.toString('latin1', first + 1, second),
    configuration: bytes.toString('utf8', second + 1),
  }
}
