/** `sluice start --with-control-plane`: gateway and control plane in one process, for trying things out. */
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { registrationFile } from '../config-sync/registration-search.ts'
import type { CliIo } from './command.ts'
import { createRegistration } from './registration/creation.ts'
import { startControlPlane } from './serve-control-plane.ts'

export interface ControlPlanePorts {
  port: number
  syncPort: number
}

const folder = join('.sluice', 'control-plane')
const gatewayFolder = join('.sluice', 'gateway')

/** @param start runs the gateway to its end */
export async function serveBoth(
  io: CliIo,
  { port, syncPort }: ControlPlanePorts,
  start: (io: CliIo) => Promise<number>,
): Promise<number> {
  const data = resolve(io.cwd, folder)
  const running = await startControlPlane(io, {
    data,
    host: '127.0.0.1',
    port,
    syncPort,
    names: ['localhost'],
  })
  try {
    const file = resolve(io.cwd, gatewayFolder, registrationFile)
    if (!existsSync(file)) {
      mkdirSync(resolve(io.cwd, gatewayFolder), { recursive: true, mode: 0o700 })
      await createRegistration(
        ['local-gateway'],
        {
          token: running.newToken(),
          'control-plane': running.platform,
          'output-directory': resolve(io.cwd, gatewayFolder),
        },
        io,
      )
    }
    return await start({ ...io, env: { ...io.env, SLUICE_SYNC_REGISTRATION: file } })
  } finally {
    await running.close()
  }
}
