import { createHash } from 'node:crypto'
import type { LimitBucket, LimitWindow, PolicyLog } from '../host.ts'
import { type CostKind, type Counted, type CounterStore, StoreAbsentError } from './counter-store.ts'
import type { RedisClient } from './redis-client.ts'
import type { ScriptName } from './redis-scripts.ts'
import type { RedisTarget } from './redis-target.ts'

/** Keys are shown to whoever looks into Redis, and clients choose parts of them: long ones are hashed. */
const longestKey = 256
const firstPauseMs = 100
const longestPauseMs = 1000

type Scripted = Record<ScriptName, (key: string, ...args: (string | number)[]) => Promise<unknown>> & {
  zrem(key: string, id: string): Promise<number>
}

export interface RedisStoreOptions {
  target: RedisTarget
  log: PolicyLog
  open: (target: RedisTarget) => Promise<RedisClient>
}

/**
 * Counters in Redis, through one connection of the thread that carries all decisions at once. A decision has a budget of
 * time. After a failure nothing is asked for a moment and everything fails at once; then one decision tries.
 */
export class RedisStore implements CounterStore {
  readonly #options: RedisStoreOptions
  readonly #name: string
  #client: Promise<RedisClient> | undefined
  #usedAt = 0
  /** Decisions under way. */
  #pending = 0
  #idle: NodeJS.Timeout | undefined
  #pauseMs = 0
  #pausedUntil = 0

  constructor(options: RedisStoreOptions) {
    this.#options = options
    this.#name = nameOf(options.target)
  }

  async acquire(
    key: string,
    { limit, windowMs }: LimitWindow,
    cost: number,
    kind: CostKind = 'whole',
  ): Promise<Counted> {
    const reply = await this.#run('sluiceAcquire', key, limit, windowMs, cost, kind)
    const [granted, count, resetMs] = reply as [number, number, number]
    return { granted, remaining: Math.max(0, limit - count), resetMs }
  }

  async slide(key: string, { limit, windowMs }: LimitWindow, cost: number): Promise<Counted> {
    const reply = await this.#run('sluiceSlide', key, limit, windowMs, cost)
    const [granted, count, last, rest] = reply as [number, number, number, number]
    if (granted >= cost && (granted > 0 || count + (last * rest) / windowMs < limit)) {
      return {
        granted,
        remaining: Math.max(0, Math.floor(limit - count - (last * rest) / windowMs)),
        resetMs: rest,
      }
    }
    const resetMs = count >= limit ? rest : Math.max(0, rest - ((limit - count) * windowMs) / last)
    return { granted: 0, remaining: 0, resetMs }
  }

  async leak(key: string, { perMs, burst }: LimitBucket, cost: number): Promise<number> {
    const reply = await this.#run('sluiceLeak', key, 1000 / perMs, (burst * 1000) / perMs, cost)
    const [taken, us] = reply as [number, number]
    return taken === 1 ? us / 1000 : -us / 1000
  }

  async enter(key: string, id: string, limit: number, ttlMs: number): Promise<number> {
    return (await this.#run('sluiceEnter', key, limit, ttlMs, id)) as number
  }

  async leave(key: string, id: string): Promise<void> {
    try {
      await this.#within((client) => client.zrem(keyOf(key), id))
    } catch {
      // It counts until its time is over.
    }
  }

  #run(script: ScriptName, key: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#within((client) => client[script](keyOf(key), ...args))
  }

  /** @throws StoreAbsentError */
  async #within<T>(work: (client: Scripted) => Promise<T>): Promise<T> {
    const now = performance.now()
    if (now < this.#pausedUntil) throw new StoreAbsentError(`${this.#name} is given a moment`)
    // While one decision tries, the others do not wait for it.
    if (this.#pauseMs > 0) this.#pausedUntil = now + this.#options.target.timeoutMs
    this.#pending++
    try {
      const result = await inTime(this.#asked(work), this.#options.target.timeoutMs)
      if (this.#pauseMs > 0) this.#options.log.info({ store: this.#name }, 'shared counters are back')
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

  async #asked<T>(work: (client: Scripted) => Promise<T>): Promise<T> {
    this.#client ??= this.#open()
    return work((await this.#client) as unknown as Scripted)
  }

  #failed(error: Error): void {
    if (this.#pauseMs === 0)
      this.#options.log.error({ store: this.#name, reason: error.message }, 'shared counters are absent')
    this.#pauseMs = Math.min(longestPauseMs, Math.max(firstPauseMs, this.#pauseMs * 2))
    this.#pausedUntil = performance.now() + this.#pauseMs
  }

  async #open(): Promise<RedisClient> {
    const client = await this.#options.open(this.#options.target).catch((error) => {
      this.#client = undefined
      throw error
    })
    // What goes wrong is told by the decisions that fail; without a listener the client would print it.
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

  /** Closes the connection; the next decision opens another. */
  close(): void {
    clearTimeout(this.#idle)
    this.#client?.then((client) => client.disconnect())
    this.#client = undefined
  }
}

function keyOf(key: string): string {
  if (key.length <= longestKey) return key
  const end = key.lastIndexOf(':', longestKey - 100)
  return `${key.slice(0, Math.max(0, end))}:sha256:${createHash('sha256').update(key).digest('base64url')}`
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
