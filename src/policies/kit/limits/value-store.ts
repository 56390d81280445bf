import { RedisConnection, type RedisOptions } from './redis-connection.ts'

/** Values that several nodes share, each for a time. A rejection is a `StoreAbsentError`. */
export interface ValueStore {
  /** Undefined: there is none, or its time is over. */
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, ttlMs: number): Promise<void>
  delete(key: string): Promise<void>
}

/** Values in Redis. */
export class RedisValues implements ValueStore {
  readonly #connection: RedisConnection

  constructor(options: RedisOptions) {
    this.#connection = new RedisConnection(options, 'shared values')
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.#connection.ask((client) => client.get(key))) ?? undefined
  }

  async set(key: string, value: string, ttlMs: number): Promise<void> {
    await this.#connection.ask((client) => client.set(key, value, 'PX', Math.max(1, Math.ceil(ttlMs))))
  }

  async delete(key: string): Promise<void> {
    await this.#connection.ask((client) => client.del(key))
  }
}
