/**
 * Names of upstream nodes and the addresses they lead to, kept up to date beside the traffic; no request ever waits for
 * a lookup. A name that cannot be looked up keeps the addresses it had; one that is gone for good loses them.
 */
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Settings } from '../../config/settings.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Answer, NameService } from './name-service.ts'

export interface ResolverOptions {
  /** `host:port` of DNS servers; default: those of the system. */
  servers?: readonly string[]
  /** What the system's own resolution says: search domains, `localhost`, other sources than DNS. */
  lookup?: (host: string) => Promise<readonly string[]>
  /** Path of the hosts file. */
  hostsFile?: string
}

/** Answers that a name does not exist after which it is believed. */
const GONE_AFTER = 3

interface Name {
  readonly host: string
  /** Sorted, because servers rotate their answers. */
  addresses: readonly string[]
  /** Lookups in a row that failed, for whatever reason, and how many of the last said that there is no such name. */
  failures: number
  absences: number
  timer: NodeJS.Timeout | undefined
}

export class Resolver {
  readonly #limits: Settings['dns']
  readonly #log: Log
  readonly #service: NameService
  readonly #names = new Map<string, Name>()
  readonly #listeners: ((host: string, addresses: readonly string[]) => void)[] = []

  constructor(limits: Settings['dns'], log: Log, options: ResolverOptions = {}) {
    this.#limits = limits
    this.#log = log
    this.#service = new NameService(limits.timeout, {
      servers: options.servers,
      hostsFile: options.hostsFile ?? '/etc/hosts',
      lookup: options.lookup ?? lookupAll,
    })
  }

  /**
   * Follows these names and no others. Resolves when each new one has been looked up once, or `timeout` of the settings
   * is over; those that come later are announced like any change. Literal addresses are not names and are left out.
   */
  async watch(hosts: ReadonlySet<string>): Promise<void> {
    for (const name of this.#names.values()) if (!hosts.has(name.host)) this.#forget(name)
    const first: Promise<void>[] = []
    for (const host of hosts) {
      if (this.#names.has(host) || isIP(host) !== 0) continue
      const name: Name = { host, addresses: [], failures: 0, absences: 0, timer: undefined }
      this.#names.set(host, name)
      first.push(this.#refresh(name))
    }
    if (first.length === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const limit = setTimeout(resolve, this.#limits.timeout)
    await Promise.race([Promise.all(first), promise])
    clearTimeout(limit)
  }

  /** What is known now; an empty list: the name does not resolve. */
  addresses(): (readonly [host: string, addresses: readonly string[]])[] {
    return Array.from(this.#names.values(), ({ host, addresses }) => [host, addresses])
  }

  /** What a host leads to now: itself when it is an address, nothing when its name does not resolve. */
  addressesOf(host: string): readonly string[] {
    return isIP(host) !== 0 ? [host] : (this.#names.get(host)?.addresses ?? [])
  }

  /** Called when the addresses of a name are others than before, not when they only come in another order. */
  onChange(listener: (host: string, addresses: readonly string[]) => void): void {
    this.#listeners.push(listener)
  }

  get size(): number {
    return this.#names.size
  }

  /** Looks every name up again now; what is known of it holds until the answer. @returns how many names there are */
  refresh(): number {
    for (const name of this.#names.values()) void this.#refresh(name)
    return this.#names.size
  }

  close(): void {
    for (const name of this.#names.values()) this.#forget(name)
    this.#service.close()
  }

  async #refresh(name: Name): Promise<void> {
    const answer = await this.#service.find(name.host)
    if (this.#names.get(name.host) !== name) return
    const delay = answer.outcome === 'found' ? this.#found(name, answer) : this.#failed(name, answer)
    clearTimeout(name.timer)
    // Up to a tenth earlier, so that names that were asked for together spread out.
    name.timer = setTimeout(() => void this.#refresh(name), delay * (1 - Math.random() / 10))
    name.timer.unref()
  }

  /** @returns milliseconds until the next lookup */
  #found(name: Name, answer: Answer & { outcome: 'found' }): number {
    if (name.failures > 0)
      this.#log.info({ host: name.host, addresses: answer.addresses }, 'name resolves again')
    name.failures = 0
    name.absences = 0
    this.#change(name, answer.addresses)
    return Math.min(Math.max(answer.ttl, this.#limits.min_ttl), this.#limits.max_ttl)
  }

  #failed(name: Name, answer: Answer & { outcome: 'absent' | 'failed' }): number {
    name.failures++
    name.absences = answer.outcome === 'absent' ? name.absences + 1 : 0
    if (name.failures === 1) {
      const { host, addresses } = name
      this.#log.warn({ host, code: answer.code, kept: addresses }, 'name does not resolve')
    }
    if (name.absences >= GONE_AFTER) this.#change(name, [])
    return Math.min(this.#limits.min_ttl * 2 ** (name.failures - 1), this.#limits.max_ttl)
  }

  #change(name: Name, found: readonly string[]): void {
    const addresses = [...new Set(found)].sort()
    if (addresses.join() === name.addresses.join()) return
    name.addresses = addresses
    for (const listener of this.#listeners) listener(name.host, addresses)
  }

  #forget(name: Name): void {
    clearTimeout(name.timer)
    this.#names.delete(name.host)
  }
}

async function lookupAll(host: string): Promise<string[]> {
  const found = await systemLookup(host, { all: true })
  return found.map(({ address }) => address)
}
