import { createHash } from 'node:crypto'
import type { LimitBucket, LimitWindow } from '../host.ts'
import type { CostKind, Counted, CounterStore } from './counter-store.ts'
import { RedisConnection, type RedisOptions } from './redis-connection.ts'
import type { ScriptName } from './redis-scripts.ts'

/** Keys are shown to whoever looks into Redis, and clients choose parts of them: long ones are hashed. */
const longestKey = 256

type Scripted = Record<ScriptName, (key: string, ...args: (string | number)[]) => Promise<unknown>>

/** Counters in Redis. */
export class RedisStore implements CounterStore {
  readonly #connection: RedisConnection

  constructor(options: RedisOptions) {
    this.#connection = new RedisConnection(options, 'shared counters')
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
      await this.#connection.ask((client) => client.zrem(keyOf(key), id))
    } catch {
      // It counts until its time is over.
    }
  }

  #run(script: ScriptName, key: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#connection.ask((client) => (client as unknown as Scripted)[script](keyOf(key), ...args))
  }

  /** Closes the connection; the next decision opens another. */
  close(): void {
    this.#connection.close()
  }
}

function keyOf(key: string): string {
  if (key.length <= longestKey) return key
  const end = key.lastIndexOf(':', longestKey - 100)
  return `${key.slice(0, Math.max(0, end))}:sha256:${createHash('sha256').update(key).digest('base64url')}`
}
