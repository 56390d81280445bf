/**
 * Keeps an eye on data threads from the control thread. One whose event loop does not turn is named in the log, with the code
 * of the operator that holds it, and is replaced when it goes on like that.
 */
import type { Log } from '../telemetry/log.ts'
import { readWatch } from './shared/watch-slot.ts'

/** Milliseconds. */
export interface WatchTimes {
  readonly slow: number
  readonly stuck: number
}

/** A thread as far as it is watched. */
export interface WatchedThread {
  readonly threadId: number
  readonly memory: SharedArrayBuffer
  /** It has a plan to work on, its first one for instance, which may take longer. It beats when that is done. */
  readonly isApplying: boolean
  end(): void
}

interface Watch {
  readonly thread: WatchedThread
  readonly names: Map<number, string>
  beats: number
  /** Milliseconds. */
  silent: number
  told: boolean
  ended: boolean
}

/** Between two looks. A thread's own count goes on as often. Milliseconds. */
export const watchInterval = 250
/** What a thread may take for its start, and for a plan. */
const longestWork = 30_000

export class Watchdog {
  readonly #times: () => WatchTimes
  readonly #log: Log
  readonly #watches = new Map<number, Watch>()
  readonly #timer: NodeJS.Timeout
  #looked = performance.now()

  constructor(times: () => WatchTimes, log: Log) {
    this.#times = times
    this.#log = log
    this.#timer = setInterval(() => this.look(performance.now()), watchInterval)
    this.#timer.unref()
  }

  watch(thread: WatchedThread): void {
    const watch = { thread, names: new Map(), beats: 0, silent: 0, told: false, ended: false }
    this.#watches.set(thread.threadId, watch)
  }

  forget(threadId: number): void {
    this.#watches.delete(threadId)
  }

  /** What a label in the memory of that thread stands for. */
  name(threadId: number, label: number, name: string): void {
    this.#watches.get(threadId)?.names.set(label, name)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** @param now monotonic milliseconds */
  look(now: number): void {
    // Where this thread itself, or the whole process, stood still, the others are not to blame.
    const passed = Math.min(now - this.#looked, 2 * watchInterval)
    this.#looked = now
    for (const watch of this.#watches.values()) this.#lookAt(watch, passed)
  }

  #lookAt(watch: Watch, passed: number): void {
    const { thread } = watch
    const reading = readWatch(thread.memory)
    if (reading.beats !== watch.beats) {
      if (watch.told)
        this.#log.info({ thread: thread.threadId, silentMs: watch.silent }, 'data thread answers again')
      watch.beats = reading.beats
      watch.silent = 0
      watch.told = false
      return
    }
    watch.silent += passed
    const isWorking = thread.isApplying
    const { slow, stuck } = this.#times()
    if (!watch.told && watch.silent >= slow && (!isWorking || reading.held !== 0)) {
      watch.told = true
      this.#log.warn(this.#facts(watch, reading), 'data thread does not answer')
    }
    if (watch.ended || watch.silent < (isWorking ? Math.max(stuck, longestWork) : stuck)) return
    watch.ended = true
    this.#log.error(this.#facts(watch, reading), 'data thread is stuck, it will be ended')
    thread.end()
  }

  #facts({ thread, names, silent }: Watch, { held, awaited }: { held: number; awaited: number[] }): object {
    const nameOf = (label: number) => names.get(label) ?? `number ${label}`
    return {
      thread: thread.threadId,
      silentMs: Math.round(silent),
      ...(held !== 0 && { policy: nameOf(held) }),
      // It may be going on with what it had waited for.
      ...(held === 0 && awaited.length > 0 && { awaited: awaited.map(nameOf) }),
    }
  }
}
