/** Processes that a test starts: what they listen on, and their end. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds that a process may take to listen, and to end. */
const longestStart = 30_000
const longestEnd = 3000

/** Given away before, maybe to somebody who does not listen there yet. */
const given = new Set<number>()

/** A port that was free a moment ago, and that nobody else of this process was given. */
export async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  if (given.has(port)) return freePort()
  given.add(port)
  return port
}

/** Waits until the process takes connections. @throws when it ends before, or does not within 30 s */
export async function listening(port: number, child: ChildProcess): Promise<void> {
  if (!(await cameAbout(() => accepts(port), child))) throw new Error(`nothing listens on ${port}`)
}

/** Waits until it has said something. @throws when it ends before, or does not within 30 s */
export async function shown(isThere: () => boolean, child: ChildProcess): Promise<void> {
  if (!(await cameAbout(isThere, child))) throw new Error('it does not say so')
}

async function cameAbout(isTrue: () => boolean | Promise<boolean>, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + longestStart
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    if (await isTrue()) return true
    await sleep(10)
  }
  return false
}

/** Asks the process to end, and makes it when it does not. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  const hardStop = setTimeout(() => child.kill('SIGKILL'), longestEnd)
  await ended
  clearTimeout(hardStop)
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
