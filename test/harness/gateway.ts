/** Starts the gateway as an operator would, in a process of its own, with a configuration written for the test. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, listening, shown, stopProcess } from './process.ts'

export { freePort } from './process.ts'

export interface RunningGateway {
  /** Of the traffic listener. */
  port: number
  pid: number
  /** Its configuration. */
  file: string
  /** What it has written to stdout and stderr so far. */
  output(): string
  stop(): Promise<void>
}

/**
 * @param configure Gets a free traffic port and returns the YAML of `sluice.yaml`.
 * @param env Variables beside those of this process.
 * @throws When the process ends or does not listen within 30 s; the message holds its output.
 */
export async function startGateway(
  configure: (port: number) => string,
  env: Record<string, string> = {},
): Promise<RunningGateway> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'))
  const file = join(folder, 'sluice.yaml')
  await writeFile(file, configure(port))
  const main = new URL('../../bin/sluice.js', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'start', '-c', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  const stop = async () => {
    await stopProcess(child)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await listening(port, child)
    // Its first listener may take connections before the others do.
    await shown(() => output.includes(' takes traffic on '), child)
  } catch (error) {
    await stop()
    throw new Error(`the gateway did not start: ${(error as Error).message}\n${output}`)
  }
  return { port, pid: child.pid!, file, output: () => output, stop }
}
