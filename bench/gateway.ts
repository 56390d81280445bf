import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { type Launched, launch } from './launch.ts'
import type { Opponent } from './opponents/opponent.ts'
import { freePort, type Site } from './site.ts'
import type { Work } from './work.ts'

/** A gateway that runs. */
export interface Gateway extends Launched {
  port: number
  /** Holds its configuration and what it writes. */
  folder: string
}

/** `spread` uses both cores and two data threads; without it a gateway has one core and one thread. */
export async function startGateway(
  site: Site,
  opponent: Opponent,
  work: Work,
  spread = false,
): Promise<Gateway> {
  const gateways = join(site.folder, 'gateways')
  mkdirSync(gateways, { recursive: true })
  const folder = mkdtempSync(join(gateways, 'gateway-'))
  const port = await freePort()
  const command = opponent.prepare({ site, folder, port, work, workers: spread ? 2 : 1 })
  const core = spread ? `${site.cores.gateway},${site.cores.load}` : site.cores.gateway
  const launched = await launch({ name: opponent.name, folder, core, command, port, patience: 60_000 })
  return { ...launched, port, folder }
}
