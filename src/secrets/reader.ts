/**
 * Reads secrets. Several references to one secret, and several askers at one time, are one request; what was read a
 * moment ago is not asked for again, so that a configuration that was just checked can be put to work.
 */
import { hash } from 'node:crypto'
import { environmentProblem, environmentValue } from '../config/environment.ts'
import type { SecretManagerSpec } from '../config/plan.ts'
import { secretManagerKind } from '../config/secret-managers.ts'
import {
  memberOf,
  parseSecretReference,
  replaceSecretReferences,
  type SecretReference,
  textOf,
} from '../config/secret-reference.ts'
import { openManager } from './managers/index.ts'
import { type Secret, SecretFailure, type SecretManager, type Surroundings } from './secret.ts'

/** What a reference leads to. A failure has a reason that holds no value. */
export type Resolution = { readonly value: string } | { readonly failure: SecretFailure }

export type Managers = ReadonlyMap<string, SecretManagerSpec>

interface Reading {
  readonly secret: Promise<Secret | undefined>
  readonly since: number
  isPending: boolean
}

/** Milliseconds for which what was read is not asked for again. */
const momentMs = 10_000
/** Milliseconds for which a manager that cannot be reached is left alone, so that many secrets are one timeout. */
const restMs = 1000
/** Secrets that are asked for at a time. */
const atATime = 16

/** A reader for a process. */
export const readerOf = ({ env, cwd }: Pick<Surroundings, 'env' | 'cwd'>): SecretReader =>
  new SecretReader({ env, cwd, now: Date.now })

export class SecretReader {
  /** Longest wait for one secret, in milliseconds. */
  timeout = 5000
  readonly #surroundings: Surroundings
  readonly #opened = new Map<string, Promise<SecretManager>>()
  readonly #readings = new Map<string, Reading>()
  readonly #unreachable = new Map<string, { failure: SecretFailure; until: number }>()

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  /** Never rejects. `fresh`: what was read a moment ago does not do. */
  async resolve(text: string, managers: Managers, fresh = false): Promise<Resolution> {
    try {
      const reference = parseSecretReference(text)
      if ('problem' in reference) throw new SecretFailure('absent', reference.problem)
      return { value: await this.#valueOf(reference, managers, fresh) }
    } catch (error) {
      if (error instanceof SecretFailure) return { failure: error }
      return { failure: new SecretFailure('unavailable', `it cannot be read (${(error as Error).name})`) }
    }
  }

  /** `resolve` for many. Hands each over as soon as it is known, and resolves when all are. */
  async resolveAll<T extends { readonly text: string }>(
    references: readonly T[],
    managers: Managers,
    known: (reference: T, resolution: Resolution) => void,
    fresh = false,
  ): Promise<void> {
    const queue = references.values()
    const work = async () => {
      for (const reference of queue) known(reference, await this.resolve(reference.text, managers, fresh))
    }
    await Promise.all(Array.from({ length: Math.min(atATime, references.length) }, work))
  }

  /** Forgets everything about managers that are not among these. */
  retain(managers: Managers): void {
    const wanted = new Set(Array.from(managers.values(), fingerprint))
    for (const key of this.#opened.keys()) if (!wanted.has(key)) this.#opened.delete(key)
    for (const key of this.#unreachable.keys()) if (!wanted.has(key)) this.#unreachable.delete(key)
    for (const key of this.#readings.keys())
      if (!wanted.has(key.split(' ', 1)[0]!)) this.#readings.delete(key)
  }

  async #valueOf(reference: SecretReference, managers: Managers, fresh: boolean): Promise<string> {
    if (reference.kind === 'environment') {
      const value = environmentValue(reference, this.#surroundings.env)
      if (value !== undefined) return value
      const problem = environmentProblem(reference, this.#surroundings.env)
      throw new SecretFailure('absent', `the environment variable ${reference.variable} is ${problem}`)
    }
    const spec = managers.get(reference.manager)
    if (spec === undefined) {
      throw new SecretFailure('absent', `there is no secret manager ${reference.manager}`)
    }
    const key = fingerprint(spec)
    const manager = await this.#open(spec, key)
    const signal = AbortSignal.timeout(this.timeout)
    for (const { name, member } of manager.candidates(reference.key)) {
      this.#refuseWhileUnreachable(key)
      const secret = await this.#read(manager, key, name, fresh, signal)
      if (secret !== undefined) return pick(secret, member)
    }
    throw new SecretFailure('absent', 'its manager has no such secret')
  }

  #refuseWhileUnreachable(key: string): void {
    const rest = this.#unreachable.get(key)
    if (rest === undefined) return
    if (this.#surroundings.now() < rest.until) throw rest.failure
    this.#unreachable.delete(key)
  }

  #open(spec: SecretManagerSpec, key: string): Promise<SecretManager> {
    let opened = this.#opened.get(key)
    if (opened === undefined) {
      const kind = secretManagerKind(spec.id)
      const { env } = this.#surroundings
      const config = replaceSecretReferences(spec, (text) => {
        const reference = parseSecretReference(text)
        const value =
          'problem' in reference || reference.kind === 'managed'
            ? undefined
            : environmentValue(reference, env)
        if (value === undefined) {
          throw new SecretFailure('unavailable', `${text} in its manager ${spec.id} leads to nothing`)
        }
        return value
      })
      if (kind === undefined) throw new SecretFailure('absent', `there is no secret manager ${spec.id}`)
      opened = openManager(kind, config as Record<string, unknown>, this.#surroundings)
      this.#opened.set(key, opened)
    }
    return opened
  }

  #read(
    manager: SecretManager,
    managerKey: string,
    name: string,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<Secret | undefined> {
    const key = `${managerKey} ${name}`
    const now = this.#surroundings.now()
    const known = this.#readings.get(key)
    if (known !== undefined && (known.isPending || (!fresh && now - known.since < momentMs)))
      return known.secret
    const secret = manager.read(name, signal)
    const reading: Reading = { secret, since: now, isPending: true }
    this.#readings.set(key, reading)
    secret.then(
      () => {
        reading.isPending = false
      },
      (failure) => {
        reading.isPending = false
        if (!(failure instanceof SecretFailure) || failure.kind !== 'unreachable') return
        this.#unreachable.set(managerKey, { failure, until: this.#surroundings.now() + restMs })
      },
    )
    return secret
  }
}

function pick(secret: Secret, member: string | undefined): string {
  if (member === undefined) {
    if ('text' in secret) return secret.text
    throw new SecretFailure('absent', 'the reference names no member of the secret')
  }
  const value = 'text' in secret ? memberOf(secret.text, member) : own(secret.members, member)
  if (value !== undefined) return value
  throw new SecretFailure('absent', 'the secret has no such member that is a text')
}

const own = (members: Readonly<Record<string, unknown>>, name: string) =>
  Object.hasOwn(members, name) ? textOf(members[name]) : undefined

/** Tells configurations apart without keeping the credentials in them. */
const fingerprint = (spec: SecretManagerSpec) =>
  `${spec.id}:${hash('sha256', JSON.stringify(spec), 'base64')}`
