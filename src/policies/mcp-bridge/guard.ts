/** The guard of this thread's programs, see `guard-process.ts`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL(`./guard-process${extname(import.meta.url)}`, import.meta.url))

class Guard {
  readonly #programs = new Set<number>()
  #process: ChildProcess | null = null

  /** Ends with this thread what the program leads. */
  watch(program: number): void {
    this.#programs.add(program)
    if (this.#process === null) this.#start()
    else this.#tell(`+${program}\n`)
  }

  /** The program and all that it started are gone. */
  forget(program: number): void {
    if (this.#programs.delete(program)) this.#tell(`-${program}\n`)
  }

  #start(): void {
    const started = spawn(process.execPath, [script], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {},
    })
    const gone = () => {
      if (this.#process === started) this.#process = null
    }
    started.on('error', gone).on('exit', gone)
    started.stdin?.on('error', gone)
    started.unref()
    this.#process = started
    for (const program of this.#programs) this.#tell(`+${program}\n`)
  }

  #tell(line: string): void {
    this.#process?.stdin?.write(line)
  }
}

export const guard = new Guard()
