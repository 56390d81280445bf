import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** What /proc/PID/stat says of one process; times count all of its threads, also those that ended. */
export interface ProcessStat {
  pid: number
  parent: number
  /** User plus system time, in clock ticks. */
  ticks: number
}

/** Parses one line of /proc/PID/stat (proc(5)). The command stands in brackets and may hold spaces and brackets itself. */
export function parseStat(line: string): ProcessStat {
  const pid = Number.parseInt(line, 10)
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const [parent, user, system] = [Number(fields[1]), Number(fields[11]), Number(fields[12])]
  if (Number.isNaN(pid + parent + user + system))
    throw new SyntaxError(`not a line of /proc/PID/stat: ${line}`)
  return { pid, parent, ticks: user + system }
}

/** The processes that descend from `root`, itself included. */
export function descendants(root: number, all: readonly ProcessStat[]): ProcessStat[] {
  const family = new Set([root])
  let known = 0
  while (known !== family.size) {
    known = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => family.has(pid))
}

/** CPU time in microseconds that a process and its descendants have used so far. */
export function cpuMicros(root: number): number {
  const ticks = tree(root).reduce((sum, process) => sum + process.ticks, 0)
  return (ticks * 1e6) / ticksPerSecond
}

/**
 * CPU time in microseconds that the main thread of a process has used so far. From the scheduler's own count of
 * nanoseconds (proc(5), `schedstat`): a thread that is nearly idle uses less than one tick a second.
 */
export function threadMicros(pid: number): number {
  return Number(read(`/proc/${pid}/task/${pid}/schedstat`).split(' ', 1)[0]) / 1000
}

/**
 * The same of all threads of one process, of those that still run. For measurements of a second, in which a tick would be
 * one percent.
 */
export function processMicros(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const nanos = threads.map((thread) =>
    Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ', 1)[0]),
  )
  return nanos.reduce((sum, one) => sum + one, 0) / 1000
}

/** Resident bytes of a process and its descendants. Pages that they share are counted in each. */
export function residentBytes(root: number): number {
  return tree(root).reduce((sum, { pid }) => sum + parseResident(read(`/proc/${pid}/status`)), 0)
}

/** Bytes of the `VmRSS` line of /proc/PID/status; 0 for a process that is gone. */
export function parseResident(status: string): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return kibibytes === undefined ? 0 : Number(kibibytes) * 1024
}

/** CPU time in microseconds that everybody together has used on one core since boot. */
export function coreMicros(core: string): number {
  return (parseCore(read('/proc/stat'), core) * 1e6) / ticksPerSecond
}

/** Ticks of a core that were not idle (/proc/stat; user, nice, system, idle, iowait, irq, softirq, steal). */
export function parseCore(stat: string, core: string): number {
  const line = stat.split('\n').find((it) => it.startsWith(`cpu${core} `))
  if (line === undefined) throw new RangeError(`/proc/stat knows no core ${core}`)
  const [user, nice, system, , , irq, softirq, steal] = line.split(' ').slice(1).map(Number)
  return user! + nice! + system! + irq! + softirq! + steal!
}

function tree(root: number): ProcessStat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => read(`/proc/${pid}/stat`))
    .filter((line) => line !== '')
    .map(parseStat)
  return descendants(root, all)
}

/** A process may end between the listing and the reading. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
