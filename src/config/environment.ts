/**
 * References to environment variables in the strings of a configuration:
 *
 * - `${NAME}`: upper-case letters, digits and `_`, so that templates such as `${remote_addr}` stay as they are; the
 *   result is always a string;
 * - `${{NAME}}` and `${{NAME:=default}}` as in APISIX; alone in its string, a result that reads as a number or a boolean
 *   becomes one;
 * - `$env://NAME` and `$env://NAME/KEY` as in APISIX: a whole string; KEY picks from a variable that holds JSON. In the
 *   configuration of policies and of secret managers it stays a reference, so that the plan does not hold its value;
 * - `$${` stands for `${`.
 */
import type { PathSegment } from './problem.ts'
import {
  type EnvironmentReference,
  isSecretReference,
  mayReferToSecrets,
  memberOf,
  parseSecretReference,
} from './secret-reference.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface MissingVariable {
  path: PathSegment[]
  /** The name of the variable; its value is never told. */
  name: string
  problem: 'not set' | 'not JSON with that key'
}

const reference = /\$(\$\{)|\$\{\{\s*([A-Za-z_]\w*)\s*(?::=([^}]*))?\}\}|\$\{([A-Z_][A-Z0-9_]*)\}/g
const loneReference = /^\$\{\{[^}]*\}\}$/

/** Whether there is anything to expand, so that a large file without references is not walked. */
export const mayReferToVariables = (text: string): boolean => text.includes('${') || mayReferToSecrets(text)

/** The value with its references expanded. Objects that hold none are handed back as they are. */
export function expandVariables(
  value: unknown,
  env: Environment,
  missing: (variable: MissingVariable) => void,
  path: PathSegment[] = [],
): unknown {
  if (typeof value === 'string') return expandString(value, env, missing, path)
  if (Array.isArray(value)) {
    return keepIfSame(
      value,
      value.map((item, index) => expandVariables(item, env, missing, [...path, index])),
    )
  }
  if (typeof value === 'object' && value !== null) {
    let changed = false
    const entries = Object.entries(value).map(([key, item]) => {
      const expanded = expandVariables(item, env, missing, [...path, key])
      changed ||= expanded !== item
      return [key, expanded] as const
    })
    return changed ? Object.fromEntries(entries) : value
  }
  return value
}

const keepIfSame = (before: readonly unknown[], after: readonly unknown[]) =>
  after.every((item, index) => item === before[index]) ? before : after

function expandString(
  text: string,
  env: Environment,
  missing: (variable: MissingVariable) => void,
  path: PathSegment[],
): unknown {
  if (!text.includes('$')) return text
  if (isSecretReference(text)) return isResolvedLater(path) ? text : expandReference(text, env, missing, path)
  const expanded = text.replace(reference, (match, escaped, braced, byDefault, plain) => {
    if (escaped !== undefined) return escaped
    const name: string = braced ?? plain
    const value = env[name] ?? byDefault
    if (value === undefined) missing({ path, name, problem: 'not set' })
    return value ?? match
  })
  return expanded !== text && loneReference.test(text) ? typed(expanded) : expanded
}

function typed(text: string): unknown {
  if (text === 'true') return true
  if (text === 'false') return false
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text
}

/** Of policies, secret managers and certificates the control thread puts the values in, on the way to those that use them. */
function isResolvedLater(path: readonly PathSegment[]): boolean {
  return path.includes('plugins') || resolvedSections.has(path[0] as string)
}

const resolvedSections = new Set([
  'plugin_metadata',
  'secrets',
  'secret_providers',
  'ssls',
  'certificates',
  'snis',
])

function expandReference(
  text: string,
  env: Environment,
  missing: (variable: MissingVariable) => void,
  path: PathSegment[],
): string {
  const reference = parseSecretReference(text)
  if ('problem' in reference || reference.kind !== 'environment') return text
  const value = environmentValue(reference, env)
  if (value !== undefined) return value
  missing({ path, name: reference.variable, problem: environmentProblem(reference, env) })
  return text
}

/** Undefined: there is none; `environmentProblem` tells why. */
export function environmentValue(
  { variable, key }: EnvironmentReference,
  env: Environment,
): string | undefined {
  const value = env[variable]
  return value === undefined || key === undefined ? value : memberOf(value, key)
}

export const environmentProblem = ({ variable }: EnvironmentReference, env: Environment) =>
  env[variable] === undefined ? 'not set' : 'not JSON with that key'
