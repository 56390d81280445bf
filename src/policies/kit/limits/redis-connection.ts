import type { PolicyLog } from '../host.ts'
import { StoreAbsentError } from './counter-store.ts'
import type { RedisClient } from './redis-client.ts'
import type { RedisTarget } from './redis-target.ts'

const firstPauseMs = 100
const longestPauseMs = 1000

export interface RedisOptions {
  target: RedisTarget
  log: PolicyLog
  open: (target: RedisTarget) => Promise<RedisClient>
}

/**
 * One connection of the thread to Redis, which carries everything at once. Whatever is asked has a budget of time. After a
 * failure nothing is asked for a moment and everything fails at once; then one question tries.
 */
export class RedisConnection {
  readonly #options: RedisOptions
  readonly #what: string
  readonly #name: string
  #client: Promise<RedisClient> | undefined
  #usedAt = 0
  /** Questions under way. */
  #pending = 0
  #idle: NodeJS.Timeout | undefined
  #pauseMs = 0
  #pausedUntil = 0

  /** @param what is kept there, as the log names it */
  constructor(options: RedisOptions, what: string) {
    this.#options = options
    this.#what = what
    this.#name = nameOf(options.target)
  }

  /** @throws StoreAbsentError */
  async ask<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    const now = performance.now()
    if (now < this.#pausedUntil) throw new StoreAbsentError(`${this.#name} is given a moment`)
    // While one question tries, the others do not wait for it.
    if (this.#pauseMs > 0) this.#pausedUntil = now + this.#options.target.timeoutMs
    this.#pending++
    try {
      const result = await inTime(this.#asked(work), this.#options.target.timeoutMs)
      if (this.#pauseMs > 0) this.#options.log.info({ store: this.#name }, `${this.#what} are back`)
      this.#pauseMs = 0
      this.#pausedUntil = 0
      return result
    } catch (error) {
      this.#failed(error as Error)
      throw new StoreAbsentError((error as Error).message)
    } finally {
      this.#pending--
      this.#usedAt = performance.now()
    }
  }

  async #asked<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    this.#client ??= this.#open()
    return work(await this.#client)
  }

  #failed(error: Error): void {
    if (this.#pauseMs === 0)
      this.#options.log.error({ store: this.#name, reason: error.message }, `${this.#what} are absent`)
    this.#pauseMs = Math.min(longestPauseMs, Math.max(firstPauseMs, this.#pauseMs * 2))
    this.#pausedUntil = performance.now() + this.#pauseMs
  }

  async #open(): Promise<RedisClient> {
    const client = await this.#options.open(this.#options.target).catch((error) => {
      this.#client = undefined
      throw error
    })
    // What goes wrong is told by the questions that fail; without a listener the client would print it.
    client.on('error', () => {})
    this.#watchIdle()
    return client
  }

  #watchIdle(): void {
    const { idleMs } = this.#options.target
    this.#idle = setTimeout(
      () => {
        if (this.#pending > 0 || performance.now() - this.#usedAt < idleMs) this.#watchIdle()
        else this.close()
      },
      Math.max(1, idleMs - (performance.now() - this.#usedAt)),
    ).unref()
  }

  /** Closes the connection; the next question opens another. */
  close(): void {
    clearTimeout(this.#idle)
    this.#client?.then((client) => client.disconnect())
    this.#client = undefined
  }
}

function nameOf(target: RedisTarget): string {
  switch (target.kind) {
    case 'redis':
      return `redis ${target.host}:${target.port}`
    case 'redis-cluster':
      return `redis-cluster ${target.nodes.map(({ host, port }) => `${host}:${port}`).join(', ')}`
    case 'redis-sentinel':
      return `redis-sentinel ${target.master}`
  }
}

function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
    work.then(
      (result) => {
        clearTimeout(timer)
        resolve(result)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
