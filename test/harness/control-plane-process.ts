/** `sluice control-plane` in a process of its own, which can be killed and started again in the same folder. */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { askHttps, type HttpsAnswer } from './embedded-control-plane.ts'
import { freePort, stopProcess } from './process.ts'

/** What is printed at the first start alone. */
export interface Shown {
  adminKey: string
  rootPassphrase: string
  /** To be pasted. */
  registerCommand: string
}

const sluice = new URL('../../bin/sluice.js', import.meta.url).pathname
/** Milliseconds; dozens of processes may start at once. */
const longestStart = 60_000

export class ControlPlaneProcess {
  readonly data: string
  readonly port: number
  shown: Shown = { adminKey: '', rootPassphrase: '', registerCommand: '' }
  readonly #syncPort: number
  #child: ChildProcess | undefined
  #output = ''

  private constructor(data: string, port: number, syncPort: number) {
    this.data = data
    this.port = port
    this.#syncPort = syncPort
  }

  /** @param data folder */
  static async start(data: string): Promise<ControlPlaneProcess> {
    const plane = new ControlPlaneProcess(data, await freePort(), await freePort())
    await plane.start()
    const shown = (what: RegExp) => what.exec(plane.#output)?.[1] ?? ''
    plane.shown = {
      adminKey: shown(/admin key +(\S+)/),
      rootPassphrase: shown(/passphrase +(\S+)/),
      registerCommand: shown(/^ +(sluice register .*)$/m),
    }
    return plane
  }

  get output(): string {
    return this.#output
  }

  /** Resolves when it takes requests. */
  async start(): Promise<void> {
    this.#output = ''
    const ports = ['--port', String(this.port), '--sync-port', String(this.#syncPort)]
    const child = spawn(process.execPath, [sluice, 'control-plane', '--data', this.data, ...ports])
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#output += chunk
      })
    }
    // The last line that it prints.
    const isUp = () => /^ +gateways +https/m.test(this.#output)
    for (const deadline = Date.now() + longestStart; !isUp(); await sleep(20)) {
      if (child.exitCode === null && child.signalCode === null && Date.now() < deadline) continue
      await stopProcess(child)
      throw new Error(`the control plane did not start:\n${this.#output}`)
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child !== undefined) await stopProcess(this.#child, signal)
  }

  /** As its administrator. */
  ask(method: string, path: string, body?: unknown): Promise<HttpsAnswer> {
    const headers = { 'X-API-KEY': this.shown.adminKey }
    return askHttps(`https://localhost:${this.port}${path}`, { method, body, headers })
  }
}
