/** How a data thread is doing: event loop and heap, written by the thread every few seconds, read by the control thread. */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'

export const threadGauge = {
  /** Seconds that timers came late in the last interval: mean, 99th percentile, worst. */
  lag_mean: 0,
  lag_p99: 1,
  lag_max: 2,
  /** Share of the last interval that the event loop was at work, 0 to 1. */
  utilization: 3,
  /** Bytes. */
  heap_used: 4,
  heap_total: 5,
  external: 6,
} as const

export type ThreadGaugeName = keyof typeof threadGauge

const intervalMs = 5000
const resolutionMs = 20
const nanosecondsPerSecond = 1e9

export function createThreadGaugeMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(Object.keys(threadGauge).length * Float64Array.BYTES_PER_ELEMENT)
}

export function readThreadGauge(memory: SharedArrayBuffer, name: ThreadGaugeName): number {
  return new Float64Array(memory)[threadGauge[name]]!
}

/** Keeps the gauges of the calling thread up to date. Does not keep its event loop alive. */
export class ThreadPulse {
  readonly #values: Float64Array
  readonly #delays: ReturnType<typeof monitorEventLoopDelay>
  readonly #timer: NodeJS.Timeout
  #utilization: EventLoopUtilization

  constructor(memory: SharedArrayBuffer, everyMs: number = intervalMs) {
    this.#values = new Float64Array(memory)
    this.#delays = monitorEventLoopDelay({ resolution: resolutionMs })
    this.#delays.enable()
    this.#utilization = performance.eventLoopUtilization()
    this.#timer = setInterval(() => this.#beat(), everyMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#delays.disable()
  }

  #beat(): void {
    const values = this.#values
    const delays = this.#delays
    values[threadGauge.lag_mean] = lateness(delays.mean)
    values[threadGauge.lag_p99] = lateness(delays.percentile(99))
    values[threadGauge.lag_max] = lateness(delays.max)
    delays.reset()
    const utilization = performance.eventLoopUtilization()
    values[threadGauge.utilization] = performance.eventLoopUtilization(
      utilization,
      this.#utilization,
    ).utilization
    this.#utilization = utilization
    const heap = getHeapStatistics()
    values[threadGauge.heap_used] = heap.used_heap_size
    values[threadGauge.heap_total] = heap.total_heap_size
    values[threadGauge.external] = heap.external_memory
  }
}

/** The monitor records whole intervals between its ticks: what exceeds its own resolution was late. NaN: no tick yet. */
function lateness(interval: number): number {
  const seconds = interval / nanosecondsPerSecond - resolutionMs / 1000
  return Number.isNaN(seconds) ? 0 : Math.max(0, seconds)
}
