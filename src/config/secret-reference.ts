/**
 * References to secrets, which stand for a whole string in the configuration of a policy, as in APISIX:
 *
 * - `$env://NAME` and `$env://NAME/KEY` (`$ENV://` too): an environment variable, or a member of one that holds JSON;
 * - `$secret://MANAGER/ID/KEY...`: what the manager that `secrets` names as `MANAGER/ID` has under that key.
 *
 * In a plan they stand as they were written. Their values are put in on the way to the data threads.
 */
export type SecretReference = EnvironmentReference | ManagedReference

export interface EnvironmentReference {
  kind: 'environment'
  variable: string
  /** Absent: the whole variable. */
  key?: string
}

export interface ManagedReference {
  kind: 'managed'
  /** Identity of the resource: `vault/1`. */
  manager: string
  /** Where the manager has it. Not empty, without empty segments and without `.` and `..`. */
  key: string
}

const environmentPrefix = '$env://'
const managedPrefix = '$secret://'
const dollar = 0x24

/** Whether there may be references in the text of a file; JSON may have a backslash before each slash. */
export const mayReferToSecrets = (text: string): boolean => /\$(?:env|secret):\\?\/\\?\//i.test(text)

/** Whether a string is a reference, sound or not. */
export function isSecretReference(text: string): boolean {
  return text.charCodeAt(0) === dollar && (text.startsWith(managedPrefix) || isEnvironmentReference(text))
}

const isEnvironmentReference = (text: string) =>
  text.slice(0, environmentPrefix.length).toLowerCase() === environmentPrefix

/** Reads a string of which `isSecretReference` is true. */
export function parseSecretReference(text: string): SecretReference | { problem: string } {
  if (isEnvironmentReference(text)) {
    const [variable = '', ...rest] = text.slice(environmentPrefix.length).split('/')
    if (variable === '') return { problem: 'it names no environment variable' }
    const key = rest.join('/')
    return { kind: 'environment', variable, ...(key !== '' && { key }) }
  }
  const [manager = '', id = '', ...segments] = text.slice(managedPrefix.length).split('/')
  if (manager === '' || id === '' || segments.length === 0 || segments.includes('')) {
    return { problem: 'it must have the form $secret://MANAGER/ID/KEY' }
  }
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    return { problem: 'its key must not hold the segments . and ..' }
  }
  return { kind: 'managed', manager: `${manager}/${id}`, key: segments.join('/') }
}

/** Every reference in a value, with repetitions, and where it stands. */
export function* secretReferencesIn(
  value: unknown,
  path: readonly (string | number)[] = [],
): Generator<{ text: string; path: readonly (string | number)[] }> {
  if (typeof value === 'string') {
    if (isSecretReference(value)) yield { text: value, path }
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* secretReferencesIn(item, [...path, index])
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) yield* secretReferencesIn(item, [...path, key])
  }
}

/** Whether a value holds a reference; the quick answer, because nearly none does. */
export function holdsSecretReference(value: unknown): boolean {
  if (typeof value === 'string') return isSecretReference(value)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(holdsSecretReference)
  for (const key in value) if (holdsSecretReference((value as Record<string, unknown>)[key])) return true
  return false
}

/** The value with every reference replaced; what holds none is handed back as it is. */
export function replaceSecretReferences(value: unknown, resolve: (text: string) => string): unknown {
  if (typeof value === 'string') return isSecretReference(value) ? resolve(value) : value
  if (!holdsSecretReference(value)) return value
  if (Array.isArray(value)) return value.map((item) => replaceSecretReferences(item, resolve))
  return Object.fromEntries(
    Object.entries(value as object).map(([key, item]) => [key, replaceSecretReferences(item, resolve)]),
  )
}

/** A member of a text that holds JSON; undefined: there is none, or it is neither text, number nor truth value. */
export function memberOf(json: string, key: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
      ? textOf((value as Record<string, unknown>)[key])
      : undefined
  } catch {
    return undefined
  }
}

/** What may take the place of a reference, as text. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}
