/** Runs an example as its README says, in a process of its own, on ports that are free. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from '../harness/gateway.ts'

export interface RunningExample {
  port: number
  metricsPort: number
  /** What it has printed so far, standard error included. */
  output(): string
  /** Ctrl-C. @returns the exit code */
  stop(): Promise<number | null>
}

/**
 * Resolves when the banner with the commands to paste has been printed.
 *
 * @param env Variables beside those of this process.
 */
export async function startExample(name: string, env: Record<string, string> = {}): Promise<RunningExample> {
  const [port, metricsPort, control, usersA, usersB] = await Promise.all(Array.from({ length: 5 }, freePort))
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../examples/start.ts', import.meta.url)), name],
    {
      env: {
        ...process.env,
        ...env,
        GATEWAY_PORT: String(port),
        METRICS_PORT: String(metricsPort),
        CONTROL_PORT: String(control),
        USERS_A_PORT: String(usersA),
        USERS_B_PORT: String(usersB),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Whatever goes wrong, nothing is left behind.
      timeout: 120_000,
      killSignal: 'SIGKILL',
    },
  )
  let output = ''
  const printed = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk
      if (output.includes('In another terminal:')) resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', (code) => reject(new Error(`the ${name} example ended with ${code}\n${output}`)))
  })
  await printed
  return { port: port!, metricsPort: metricsPort!, output: () => output, stop: () => interrupt(child) }
}

async function interrupt(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}
