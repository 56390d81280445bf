import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { writeCredentialLines } from './clients.ts'
import { parseH2load } from './h2load.ts'
import type { Site } from './site.ts'
import { credentialsOf, type Work } from './work.ts'
import { parseWrk, type WrkRun } from './wrk.ts'

/** What clients send in a scenario; bytes vary with every request (`load/traffic.lua`). */
export interface Traffic {
  connections: number
  method: 'GET' | 'POST'
  /** `object` asks for the 1 MiB file. */
  target: 'users' | 'object'
  /** Bytes of the request body. */
  body: number
  /** A connection for each request. */
  close: boolean
  /** Requests that a connection of HTTP/2 carries at once; 0: HTTP/1.1 is spoken. */
  streams: number
}

export const smallGets: Traffic = {
  connections: 64,
  method: 'GET',
  target: 'users',
  body: 0,
  close: false,
  streams: 0,
}

const script = fileURLToPath(new URL('load/traffic.lua', import.meta.url))
const run = promisify(execFile)

/** Sends traffic to a port of 127.0.0.1 for whole seconds, from the core for load. */
export async function sendTraffic(
  site: Site,
  port: number,
  traffic: Traffic,
  work: Work,
  seconds: number,
): Promise<WrkRun> {
  if (traffic.streams > 0) return runH2load(site, port, traffic, seconds)
  const credentials = credentialsOf(work)
  const settings = {
    host: `127.0.0.1:${port}`,
    method: traffic.method,
    target: traffic.target,
    body: traffic.body,
    routes: work.routes > 1 ? work.routes : 0,
    hosts: work.hosts,
    close: traffic.close ? 'yes' : 'no',
    credentials: credentials === 'none' ? '' : writeCredentialLines(site.folder, credentials),
  }
  return runWrk(site, port, traffic.connections, seconds, settings, work.tls ? 'https' : 'http')
}

/** One run of wrk on the core for load. `settings` are those of the script. */
export async function runWrk(
  site: Site,
  port: number,
  connections: number,
  seconds: number,
  settings: Readonly<Record<string, string | number>>,
  scheme = 'http',
): Promise<WrkRun> {
  const { stdout } = await run('taskset', [
    ...['-c', site.cores.load, 'wrk', '--latency', '-t1'],
    ...[`-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script],
    ...[`${scheme}://127.0.0.1:${port}/`, '--'],
    ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
  ])
  return parseWrk(stdout)
}

/** One run of h2load, over TLS, with the targets that the load script has. */
async function runH2load(
  site: Site,
  port: number,
  { connections, streams }: Traffic,
  seconds: number,
): Promise<WrkRun> {
  const targets = join(site.folder, `targets-${port}.txt`)
  const log = join(site.folder, `h2load-${port}.log`)
  const origin = `https://127.0.0.1:${port}`
  writeFileSync(
    targets,
    Array.from({ length: 1024 }, (_, user) => `${origin}/api/users/${user * 7}/orders?cursor=${user}\n`).join(
      '',
    ),
  )
  rmSync(log, { force: true })
  const { stdout } = await run('taskset', [
    ...['-c', site.cores.load, 'h2load', '-t1', `-c${connections}`, `-m${streams}`],
    ...[`-D${seconds}`, `--log-file=${log}`, `--input-file=${targets}`],
  ])
  return parseH2load(stdout, readFileSync(log, 'latin1'), seconds)
}
