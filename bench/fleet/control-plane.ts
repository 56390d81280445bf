import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../site.ts'
import { ask } from './https.ts'

const main = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))

/** `sluice control-plane` in a process of its own. */
export class BenchControlPlane {
  readonly pid: number
  readonly platform: string
  /** Of its authority. */
  readonly ca: string
  readonly #child: ChildProcess
  readonly #key: string
  readonly #agent: Agent

  private constructor(child: ChildProcess, platform: string, ca: string, key: string) {
    this.#child = child
    this.pid = child.pid!
    this.platform = platform
    this.ca = ca
    this.#key = key
    this.#agent = new Agent({ ca, keepAlive: true })
  }

  /** @param core as `taskset -c` takes it */
  static async start(
    folder: string,
    core: string,
    nodeArguments: readonly string[],
  ): Promise<BenchControlPlane> {
    mkdirSync(folder, { recursive: true })
    const data = join(folder, 'control')
    const [port, syncPort] = [await freePort(), await freePort()]
    const ports = ['--port', String(port), '--sync-port', String(syncPort)]
    const command = [process.execPath, ...nodeArguments, main, 'control-plane', '--data', data, ...ports]
    const child = spawn('taskset', ['-c', core, ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = () => child.kill('SIGTERM')
    process.once('exit', kill)
    child.once('exit', () => process.off('exit', kill))
    let output = ''
    const key = await new Promise<string>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          output += chunk
          const shown = /admin key +(\S+)[\s\S]*--token=/.exec(output)?.[1]
          if (shown !== undefined) resolve(shown)
        })
      }
      child.once('exit', () => reject(new Error(`the control plane did not start: ${output.slice(0, 500)}`)))
    })
    const ca = readFileSync(join(data, 'ca.pem'), 'utf8')
    return new BenchControlPlane(child, `https://localhost:${port}`, ca, key)
  }

  get headers(): Record<string, string> {
    return { 'X-API-KEY': this.#key }
  }

  /** As its administrator. @throws for any answer that is no success */
  async administer(method: string, path: string, body?: unknown): Promise<Buffer> {
    const headers = { ...this.headers, ...(path.endsWith('/configs') && { 'X-Digest': 'bench' }) }
    const answer = await ask({ url: `${this.platform}${path}`, method, body, headers, agent: this.#agent })
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
    return answer.body
  }

  async stop(): Promise<void> {
    this.#agent.destroy()
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(impatience)
  }
}
