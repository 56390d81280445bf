/** References to environment variables as Flex Gateway has them: `$NAME`, in the configuration of policies. */
import type { Environment } from '../../environment.ts'
import type { PathSegment } from '../../problem.ts'

/** Whether it is a resource of Flex Gateway, of whatever version. */
export function isFlexResource({ value }: { value: unknown }): boolean {
  const { apiVersion } = (value ?? {}) as { apiVersion?: unknown }
  return typeof apiVersion === 'string' && apiVersion.startsWith('gateway.mulesoft.com')
}

/** Lower-case names are none, so that `$1` and regular expressions stay what they are. */
const reference = /\$([A-Z_][A-Z0-9_]*)/g

/**
 * The resource with the references in its `config` expanded, whether it is a binding or holds policies itself; and in the
 * `client` of a contract.
 * @param missing told of every variable that is not set
 */
export function expandNames(
  value: unknown,
  env: Environment,
  missing: (path: PathSegment[], name: string) => void,
  path: PathSegment[] = [],
  isConfig = false,
): unknown {
  if (typeof value === 'string') {
    if (!isConfig) return value
    return value.replace(reference, (text, name: string) => {
      const found = env[name]
      if (found === undefined) missing(path, name)
      return found ?? text
    })
  }
  if (typeof value !== 'object' || value === null) return value
  const expanded = Object.entries(value).map(([key, item]) => {
    const segment = Array.isArray(value) ? Number(key) : key
    return [
      key,
      expandNames(item, env, missing, [...path, segment], isConfig || key === 'config' || key === 'client'),
    ] as const
  })
  return Array.isArray(value) ? expanded.map(([, item]) => item) : Object.fromEntries(expanded)
}

/** As it is called in the model. */
export function idOf(namespace: string, name: string): string {
  return namespace === 'default' ? name : `${name}.${namespace}`
}
