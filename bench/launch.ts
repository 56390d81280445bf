import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A program to run on a core of its own. */
export interface Launch {
  name: string
  /** For its output; made when it is not there. */
  folder: string
  /** As `taskset -c` takes it: `0`, or `0,1`. */
  core: string
  command: readonly string[]
  /** It is ready when this port of 127.0.0.1 answers a request. */
  port: number
  /** Milliseconds that it may take until then. Default 10 s. */
  patience?: number
}

export interface Launched {
  pid: number
  /** Milliseconds from its start to its first answer. */
  startup: number
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM')
})

/** Starts a program and waits until it answers. Throws with its last words when it ends before. */
export async function launch({
  name,
  folder,
  core,
  command,
  port,
  patience = 10_000,
}: Launch): Promise<Launched> {
  mkdirSync(folder, { recursive: true })
  const output = join(folder, 'output.log')
  const log = openSync(output, 'w')
  const began = performance.now()
  const child = spawn('taskset', ['-c', core, ...command], { stdio: ['ignore', log, log] })
  closeSync(log)
  running.add(child)
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  }).finally(() => running.delete(child))

  while (!(await answers(port))) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
      throw new Error(`${name} did not start: ${lastWords(output)}`)
    if (performance.now() - began > patience) {
      await stop(child, ended)
      throw new Error(`${name} gave no answer within ${patience / 1000} s: ${lastWords(output)}`)
    }
    await sleep(10)
  }
  return { pid: child.pid!, startup: performance.now() - began, stop: () => stop(child, ended) }
}

/** True when something on 127.0.0.1 answers on that port, whatever it says. To accept alone may mean a port check. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM')
  const impatience = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(impatience)
}

/** The end of what a program said, without the frames of a stack. */
function lastWords(path: string): string {
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  const words = lines.filter((line) => !/^\s+at /.test(line)).slice(-3)
  return words.map((line) => line.slice(0, 300)).join(' / ') || 'it said nothing'
}
