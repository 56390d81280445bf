/** Where the registration of a gateway is, when nobody says it. Loaded by every start, so it needs little. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

export const registrationFile = 'registration.yaml'
/** Beside it, where certificate and key stand on their own. */
export const certificateFile = 'certificate.yaml'
/** Where a Flex Gateway has it. */
const runtimeRegistration = `/usr/local/share/mulesoft/flex-gateway/conf.d/${registrationFile}`

type Environment = Readonly<Record<string, string | undefined>>

/** API7's two names for where the control plane is. */
export const endpointVariables = ['API7_CONTROL_PLANE_ENDPOINTS', 'API7_DP_MANAGER_ENDPOINTS'] as const

export const namesControlPlane = (env: Environment): boolean =>
  endpointVariables.some((name) => (env[name] ?? '') !== '')

/**
 * The first that exists of: what the environment variable SLUICE_REGISTRATION names, `registration.yaml` in a folder that
 * is a source of the configuration, in the working directory, in /etc/sluice, and where a Flex Gateway has it.
 */
export async function findRegistration(
  sources: readonly string[],
  env: Environment,
  cwd: string,
): Promise<string | undefined> {
  const named = env.SLUICE_REGISTRATION
  if (named !== undefined && named !== '') return resolve(cwd, named)
  const candidates = [
    ...sources.map((source) => resolve(cwd, source, registrationFile)),
    resolve(cwd, registrationFile),
    join('/etc/sluice', registrationFile),
    runtimeRegistration,
  ]
  for (const path of candidates) {
    const isThere = await stat(path).then(
      (entry) => entry.isFile(),
      () => false,
    )
    if (isThere) return path
  }
  return undefined
}
