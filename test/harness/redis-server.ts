/** Real Redis servers on free ports, with their data in memory: alone, as a cluster, and watched by sentinels. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort, listening, stopProcess } from './process.ts'

/** Why tests with Redis are skipped; false: it is there. */
export const withoutRedis = isInstalled() ? false : 'redis-server is not installed'

function isInstalled(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export class RedisServer {
  readonly port: number
  readonly #args: readonly string[]
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-redis-'))
  #child: ChildProcess | undefined

  private constructor(port: number, args: readonly string[]) {
    this.port = port
    this.#args = args
  }

  /** `PORT` among the arguments stands for the server's own. */
  static async start(args: readonly string[] = []): Promise<RedisServer> {
    const port = await freePort()
    const own = args.map((arg) => (arg === 'PORT' ? String(port) : arg))
    const server = new RedisServer(port, own)
    await server.start()
    return server
  }

  /** A sentinel that watches the master and takes half a second of silence for its end. */
  static async sentinel(master: RedisServer, quorum: number): Promise<RedisServer> {
    const port = await freePort()
    const file = join(mkdtempSync(join(tmpdir(), 'sluice-sentinel-')), 'sentinel.conf')
    const lines = [
      `port ${port}`,
      `sentinel monitor main 127.0.0.1 ${master.port} ${quorum}`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 2000',
    ]
    await writeFile(file, lines.join('\n'))
    const server = new RedisServer(port, [file, '--sentinel'])
    await server.start()
    return server
  }

  /** Also again, on the same port, after it was killed; its data is lost. */
  async start(): Promise<void> {
    const alone = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const args = this.#args.includes('--sentinel') ? this.#args : [...alone, ...this.#args]
    this.#child = spawn('redis-server', args, { cwd: this.#folder, stdio: 'ignore' })
    await listening(this.port, this.#child)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    await stopProcess(child, 'SIGKILL')
  }

  /** It keeps its connections and answers nothing. */
  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Runs one command over a connection of its own. */
  async command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = new Redis({ port: this.port, protocol: 2, maxRetriesPerRequest: 0 })
    try {
      return await client.call(name, ...args)
    } finally {
      client.disconnect()
    }
  }
}

/** Three masters without replicas, which know each other. */
export async function startCluster(): Promise<RedisServer[]> {
  const nodes: RedisServer[] = []
  for (let index = 0; index < 3; index++) {
    const bus = await freePort()
    nodes.push(await RedisServer.start(['--cluster-enabled', 'yes', '--cluster-port', `${bus}`]))
  }
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  execFileSync('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'], { stdio: 'ignore' })
  for (const node of nodes)
    while (!String(await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20)
  return nodes
}

/** A master, a replica that has all of it, and a sentinel that knows both. */
export interface WatchedRedis {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinel: RedisServer
  stop(): Promise<void>
}

/** The name of the master is `main`. */
export async function startWatched(): Promise<WatchedRedis> {
  const master = await RedisServer.start()
  const replica = await RedisServer.start(['--replicaof', '127.0.0.1', `${master.port}`])
  const sentinel = await RedisServer.sentinel(master, 1)
  // It learns of the replica from the master, every ten seconds.
  while (((await sentinel.command('SENTINEL', 'REPLICAS', 'main')) as unknown[]).length === 0) await sleep(20)
  const stop = async () => {
    await Promise.all([sentinel, replica, master].map((server) => server.stop()))
  }
  return { master, replica, sentinel, stop }
}
