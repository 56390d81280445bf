/**
 * References to environment variables in the strings of a configuration:
 *
 * - `${NAME}`: upper-case letters, digits and `_`, so that templates such as `${remote_addr}` stay as they are; the
 *   result is always a string;
 * - `${{NAME}}` and `${{NAME:=default}}` as in APISIX; alone in its string, a result that reads as a number or a boolean
 *   becomes one;
 * - `$env://NAME` and `$env://NAME/KEY` as in APISIX: a whole string; KEY picks from a variable that holds JSON;
 * - `$${` stands for `${`.
 */
import type { PathSegment } from './problem.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface MissingVariable {
  path: PathSegment[]
  /** The name of the variable; its value is never told. */
  name: string
  problem: 'not set' | 'not JSON with that key'
}

const reference = /\$(\$\{)|\$\{\{\s*([A-Za-z_]\w*)\s*(?::=([^}]*))?\}\}|\$\{([A-Z_][A-Z0-9_]*)\}/g
const loneReference = /^\$\{\{[^}]*\}\}$/
const envReference = /^\$env:\/\/([A-Za-z_]\w*)(?:\/(.+))?$/i

/** Whether there is anything to expand, so that a large file without references is not walked. */
export const mayReferToVariables = (text: string): boolean => text.includes('${') || /\$env:\/\//i.test(text)

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
  const whole = envReference.exec(text)
  if (whole !== null) {
    const [, name = '', key] = whole
    const value = env[name]
    if (value === undefined) missing({ path, name, problem: 'not set' })
    else if (key === undefined) return value
    else {
      const picked = pick(value, key)
      if (picked !== undefined) return picked
      missing({ path, name, problem: 'not JSON with that key' })
    }
    return text
  }
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

function pick(json: string, key: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json)
    const picked = (value as Record<string, unknown> | null)?.[key]
    return typeof picked === 'string' || typeof picked === 'number' ? String(picked) : undefined
  } catch {
    return undefined
  }
}
