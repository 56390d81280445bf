import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Opponent } from './opponent.ts'

/** A gateway of the Node world: a small program in `programs/`, one process, told its work by environment. */
export function nodeProgram(name: string, packageName: string): Opponent {
  const program = fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))
  const installed = fileURLToPath(new URL(`../../node_modules/${packageName}/package.json`, import.meta.url))
  return {
    name: packageName,
    missing: () => (existsSync(installed) ? undefined : `${packageName} is not installed (npm ci)`),
    does: (work) => work.routes === 1 && !work.tls && !work.tcp,
    accessLog,
    prepare({ site, folder, port, work }) {
      const told = {
        PORT: String(port),
        UPSTREAM_PORT: String(site.upstreamPort),
        CHAIN: work.chain,
        ACCESS_LOG: work.accessLog ? accessLog(folder) : '',
      }
      const environment = Object.entries(told).map(([key, value]) => `${key}=${value}`)
      return ['env', 'NODE_ENV=production', ...environment, process.execPath, program]
    },
  }
}

function accessLog(folder: string): string {
  return join(folder, 'access.log')
}
