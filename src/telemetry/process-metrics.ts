/** What the operating system says about this process, under the names that Prometheus client libraries share. */
import { readdir } from 'node:fs/promises'
import { counterFamily, gaugeFamily, type MetricFamily } from './metric-family.ts'

const microsecondsPerSecond = 1e6

export async function processFamilies(): Promise<MetricFamily[]> {
  const { user, system } = process.cpuUsage()
  const families = [
    counterFamily(
      'process_cpu_seconds_total',
      'User and system CPU time.',
      (user + system) / microsecondsPerSecond,
    ),
    gaugeFamily('process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss()),
    gaugeFamily(
      'process_start_time_seconds',
      'Start of the process since the epoch.',
      performance.timeOrigin / 1000,
    ),
    gaugeFamily('nodejs_version_info', 'Version of Node.js.', 1, { version: process.version }),
  ]
  const descriptors = await openDescriptors()
  if (descriptors !== undefined) {
    families.push(gaugeFamily('process_open_fds', 'Open file descriptors.', descriptors))
  }
  return families
}

/** Undefined where there is no /proc. */
async function openDescriptors(): Promise<number | undefined> {
  try {
    // The listing itself holds one.
    return (await readdir('/proc/self/fd')).length - 1
  } catch {
    return undefined
  }
}
