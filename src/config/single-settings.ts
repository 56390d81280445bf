/**
 * Single settings from outside of the files: `SLUICE_LOG_LEVEL=debug` in the environment, `--set log.level=debug` on
 * the command line. Their names follow from the schema of `gateway:`, and so does how their texts are read.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Environment } from './environment.ts'
import { nearest } from './nearest.ts'
import type { Finding } from './problem.ts'
import { gatewaySchema } from './settings.ts'
import type { TSchema } from './type.ts'

/** A field of `gateway:` that is no section of further ones. */
export interface SingleSetting {
  /** `['log', 'level']`. */
  readonly path: readonly string[]
  /** `SLUICE_LOG_LEVEL`; with `_FILE` behind it, the file that holds the value. */
  readonly variable: string
  readonly schema: TSchema
}

/** A setting that was given, stronger than what files say. */
export interface GivenSetting {
  /** As it was given: `SLUICE_LOG_LEVEL`, `--set log.level`. */
  readonly name: string
  readonly path: readonly string[]
  readonly value: unknown
  readonly schema: TSchema
}

const prefix = 'SLUICE_'

/** Variables that mean something else, or are handled by those who need them. */
const otherVariables = [
  'SLUICE_CONFIG',
  'SLUICE_HEALTH_URL',
  'SLUICE_ADMIN_KEY',
  'SLUICE_ADMIN_KEY_FILE',
  'SLUICE_REGISTRATION',
  'SLUICE_CONFIGURATION_ROOTS',
  'SLUICE_CONTROL_URL',
  'SLUICE_CONTROL_PLANE_DATA',
  'SLUICE_CONTROL_PLANE_PASSPHRASE',
  'SLUICE_ROOT_PASSPHRASE',
]

/**
 * What Kubernetes tells every pod about a service of the name `sluice`:
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
const serviceLink =
  /^SLUICE_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

interface Described {
  type?: string
  properties?: Readonly<Record<string, TSchema>>
  anyOf?: readonly Described[]
  enum?: readonly unknown[]
  items?: Described
}

/** All of them, in the order of the schema. */
export const singleSettings: readonly SingleSetting[] = [...settingsBelow(gatewaySchema, [])]

function* settingsBelow(schema: TSchema, path: readonly string[]): Generator<SingleSetting> {
  for (const [name, field] of Object.entries((schema as Described).properties ?? {})) {
    const at = [...path, name]
    if ((field as Described).properties !== undefined) yield* settingsBelow(field, at)
    else yield { path: at, variable: prefix + at.join('_').toUpperCase(), schema: field }
  }
}

/**
 * Settings of the environment. `mentioned`: variables with our prefix that the files refer to, which are therefore no
 * misspelt settings.
 */
export async function settingsOfEnvironment(
  env: Environment,
  cwd: string,
  mentioned: ReadonlySet<string>,
): Promise<{ given: GivenSetting[]; findings: Finding[] }> {
  const given: GivenSetting[] = []
  const findings: Finding[] = []
  const known = new Set(otherVariables)
  for (const { path, variable, schema } of singleSettings) {
    known.add(variable).add(`${variable}_FILE`)
    const text = await textOf(variable, env, cwd, findings)
    if (text === undefined) continue
    const value = readSetting(schema, text, path)
    given.push({ name: variable, path, value, schema })
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith(prefix) || known.has(name) || mentioned.has(name) || serviceLink.test(name)) continue
    const near = nearest(name, known)
    findings.push({
      code: 'unknown-setting',
      severity: 'warning',
      path: '',
      message: `the environment variable ${name} sets nothing`,
      hint: near === undefined ? 'The configuration reference lists those that do.' : `Did you mean ${near}?`,
    })
  }
  return { given, findings }
}

/** The text of a variable, or of the file that its twin names. Undefined: it is not given, or cannot be read. */
async function textOf(
  variable: string,
  env: Environment,
  cwd: string,
  findings: Finding[],
): Promise<string | undefined> {
  const text = env[variable]
  const file = env[`${variable}_FILE`]
  if (file === undefined || file === '') return text
  if (text !== undefined) {
    findings.push({
      code: 'conflicting-fields',
      severity: 'error',
      path: '',
      message: `only one of the environment variables ${variable} and ${variable}_FILE is allowed`,
    })
    return undefined
  }
  try {
    return (await readFile(resolve(cwd, file), 'utf8')).replace(/\r?\n$/, '')
  } catch (error) {
    findings.push({
      code: 'file-unreadable',
      severity: 'error',
      file,
      path: '',
      message: `it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      hint: `${variable}_FILE names it.`,
    })
    return undefined
  }
}

/** A text such as `log.level=debug`. */
export function settingOfFlag(text: string): GivenSetting | { problem: string } {
  const equals = text.indexOf('=')
  const name = equals === -1 ? text : text.slice(0, equals)
  if (equals === -1) return { problem: `--set takes NAME=VALUE, not '${name}'` }
  const found = singleSettings.find(({ path }) => path.join('.') === name)
  if (found === undefined) {
    const near = nearest(
      name,
      singleSettings.map(({ path }) => path.join('.')),
    )
    return { problem: `there is no setting ${name}${near === undefined ? '' : `: did you mean ${near}?`}` }
  }
  const { path, schema } = found
  return { name: `--set ${name}`, path, value: readSetting(schema, text.slice(equals + 1), path), schema }
}

/**
 * The value that a text means for a field: a list may be JSON or have commas between its items, and listeners may be
 * `PORT` or `HOST:PORT`. What cannot be read stays a text, which the check then refuses.
 */
function readSetting(schema: TSchema, text: string, path: readonly string[]): unknown {
  const { type, anyOf = [], items } = schema as Described
  const branches = [schema as Described, ...anyOf]
  const takes = (wanted: string) => branches.some((branch) => branch.type === wanted)
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (takes('integer') || takes('number')) return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
  if (!takes('array') && !takes('object')) return text
  if (/^\s*[[{]/.test(text) && !text.startsWith('[::')) return parsed(text)
  if (type !== 'array') return text
  const entries = text.split(',').map((entry) => entry.trim())
  const list = entries.length === 1 && entries[0] === '' ? [] : entries
  if (path.join('.') === 'listeners') return list.map(listenerOf)
  return items?.type === 'integer' ? list.map((entry) => (/^\d+$/.test(entry) ? Number(entry) : entry)) : list
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}

/** `9080`, `127.0.0.1:9080` or `[::1]:9080`. */
function listenerOf(text: string): unknown {
  const match = /^(?:\[([^\]]+)\]:|([^:]+):)?(\d+)$/.exec(text)
  if (match === null) return text
  const host = match[1] ?? match[2]
  return { port: Number(match[3]), ...(host !== undefined && { host }) }
}
