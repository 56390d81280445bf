/** An embedded control plane, as it is run: its folder, its keys, its ports. */
import type { Catalogue } from '../config/policy-check.ts'
import type { Log } from '../telemetry/log.ts'
import { ControlPlane, defaultGroup } from './control-plane.ts'
import { createKeys, hasKeys, openKeys } from './keys.ts'
import { registerCommand } from './operations/groups.ts'
import type { Preparation } from './preparation.ts'
import { PrivateFolder } from './private-files.ts'
import { ControlPlaneServer } from './server.ts'

export { hasKeys, rotateKeys } from './keys.ts'
export { PrivateFolder } from './private-files.ts'

export interface RunningOptions {
  /** Folder; it is made when it is missing. */
  data: string
  host: string
  port: number
  syncPort: number
  /** Names and addresses under which gateways find it; the first stands in its URLs. */
  names: readonly string[]
  /** Of the keys that it needs to run. */
  passphrase?: string
  catalogue: Catalogue
  /** Default: in this thread. */
  preparation?: Preparation
  log: Log
  version: string
}

/** What is said once, because it is kept nowhere. */
export interface FirstStart {
  adminKey: string
  rootPassphrase: string
  registerCommand: string
}

export interface RunningControlPlane {
  platform: string
  sync: string
  first?: FirstStart
  /** For one registration in the default group. */
  newToken(): string
  close(): Promise<void>
}

/** Resolves when it takes requests. @throws what keeps it from that; then nothing is left open */
export async function runControlPlane(options: RunningOptions): Promise<RunningControlPlane> {
  const { data, host, port, syncPort, names, passphrase, catalogue, preparation, log, version } = options
  const folder = new PrivateFolder(data)
  const now = Math.floor(Date.now() / 1000)
  const keyOptions = { folder, now, ...(passphrase !== undefined && { passphrase }) }
  const rootPassphrase = hasKeys(folder) ? undefined : createKeys(keyOptions)
  const plane = new ControlPlane({
    folder,
    keys: openKeys(keyOptions),
    catalogue,
    log,
    version,
    ...(preparation !== undefined && { preparation }),
  })
  let server: ControlPlaneServer | undefined
  try {
    const begun = plane.isNew ? await plane.begin() : undefined
    const known = [...new Set([...names, 'localhost', '127.0.0.1', '::1'])]
    server = new ControlPlaneServer({
      plane,
      folder,
      host,
      names: known,
      ports: { platform: port, sync: syncPort },
    })
    const ports = await server.listen()
    const name = inUrl(known[0]!)
    const platform = `https://${name}:${ports.platform}`
    const sync = `https://${name}:${ports.sync}`
    plane.urls = { platform, sync: [sync] }
    await plane.start()
    const opened = server
    return {
      platform,
      sync,
      ...(begun !== undefined && {
        first: {
          adminKey: begun.key,
          rootPassphrase: rootPassphrase ?? 'as it was shown when the keys were made',
          registerCommand: registerCommand(platform, begun.token),
        },
      }),
      newToken: () => plane.registrations.addToken(defaultGroup, 'the control plane').token,
      async close() {
        await opened.close()
        await plane.close()
      },
    }
  } catch (error) {
    await server?.close()
    await plane.close()
    throw error
  }
}

const inUrl = (name: string) => (name.includes(':') ? `[${name}]` : name)
