/**
 * The running configuration in its normal form, for `sluice diff`. Secrets are never in it: who holds a configuration
 * can ask which of its secrets are the same here, and learns no more than that.
 */
import { timingSafeEqual } from 'node:crypto'
import {
  type ComparedConfiguration,
  comparedConfiguration,
  redactedConfiguration,
  valueIn,
} from '../config/comparison.ts'
import type { Configuration } from '../config/configuration.ts'
import type { Plan, ResourceKind } from '../config/plan.ts'
import { resourceKinds } from '../config/plan.ts'
import type { PathSegment } from '../config/problem.ts'
import { secretDigest } from '../config/secret-digest.ts'
import type { Configured, SecretFields } from '../config/secret-fields.ts'
import { type Answer, type Endpoints, json } from './server.ts'

/** What is running; asked at each request. */
export interface ExportSource {
  plan(): Plan
  configuration(): Configuration
}

/** What `GET /v1/configuration` answers. */
export interface ExportedConfiguration {
  version: number
  settings: Record<string, unknown>
  resources: Record<ResourceKind, Record<string, Record<string, unknown>>>
}

/** What `POST /v1/configuration/secrets` takes; it answers `{ "equal": [true, ...] }`. */
export interface SecretQuestion {
  /** At least 16 characters, made for this question. */
  nonce: string
  secrets: (Configured & { path: PathSegment[]; digest: string })[]
}

export function exportEndpoints(
  source: ExportSource,
  secrets: SecretFields,
  gatewayVersion: string,
): Endpoints {
  const compared = () => comparedConfiguration(source.plan().settings, source.configuration(), gatewayVersion)
  return {
    'GET /v1/configuration': () =>
      json(200, exported(source.plan().version, redactedConfiguration(compared(), secrets))),
    'POST /v1/configuration/secrets': ({ body }): Answer => {
      const question = readQuestion(body)
      if (question === undefined) return json(400, { error_msg: 'expected { nonce, secrets }' })
      const sides = compared()
      const equal = question.secrets.map(({ digest, ...asked }) => {
        const held = secrets.has(asked, asked.path) ? valueIn(sides, asked, asked.path) : undefined
        return held !== undefined && isDigest(digest, secretDigest(question.nonce, held))
      })
      return json(200, { equal })
    },
  }
}

function exported(version: number, { settings, resources }: ComparedConfiguration): ExportedConfiguration {
  const kinds = resourceKinds.map((kind) => [kind, Object.fromEntries(resources[kind])])
  return { version, settings: { ...settings }, resources: Object.fromEntries(kinds) }
}

const shortestNonce = 16

function readQuestion(body: string): SecretQuestion | undefined {
  const { nonce, secrets } = (parsed(body) ?? {}) as Partial<SecretQuestion>
  if (typeof nonce !== 'string' || nonce.length < shortestNonce || !Array.isArray(secrets)) return undefined
  return secrets.every(isSound) ? { nonce, secrets } : undefined
}

function isSound(asked: Partial<SecretQuestion['secrets'][number]> | null): boolean {
  const { kind, id, path, digest } = asked ?? {}
  return (
    (kind === 'gateway' || resourceKinds.includes(kind as ResourceKind)) &&
    typeof id === 'string' &&
    typeof digest === 'string' &&
    Array.isArray(path)
  )
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isDigest(presented: string, expected: string): boolean {
  const [a, b] = [Buffer.from(presented), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
