/** Starts the gateway as an operator would, in a process of its own, with a configuration written for the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

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
 * @throws When the process ends or does not listen within 10 s; the message holds its output.
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
  } catch (error) {
    await stop()
    throw new Error(`the gateway did not start: ${(error as Error).message}\n${output}`)
  }
  return { port, pid: child.pid!, file, output: () => output, stop }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    if (await accepts(port)) return
    await sleep(25)
  }
  throw new Error(`nothing listens on ${port}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const hardStop = setTimeout(() => child.kill('SIGKILL'), 3000)
  await ended
  clearTimeout(hardStop)
}
