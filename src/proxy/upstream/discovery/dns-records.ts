/** Questions to DNS about a service: SRV records (RFC 2782) or addresses, whichever come first in an order. */
import type { Resolver } from 'node:dns/promises'
import type { DnsSettings } from '../../../config/discovery.ts'
import { candidatesOf, type ResolverConfiguration } from './resolver-configuration.ts'

export type RecordType = 'SRV' | 'A' | 'AAAA' | 'CNAME'

export interface Target {
  address: string
  /** Absent: the record names none. */
  port?: number
  weight: number
  /** As in the record: the lowest first. Absent where there are only addresses. */
  priority?: number
}

/** Those who know say that there is no such record; or nobody could say. */
export type Failure = { outcome: 'absent'; code: string } | { outcome: 'failed'; code: string }
/** `ttl` in milliseconds. */
type Found<T> = { outcome: 'found'; ttl: number; targets: readonly T[] }
export type Answer = (Found<Target> & { type: RecordType }) | Failure

/** For SRV records, whose own time to live Node.js does not tell; that of their targets counts where it is shorter. */
const longestSrvTtl = 10_000
/** Names that an alias may lead through. */
const longestAliasChain = 8
/** Targets of SRV records that are looked up at a time. */
const targetsAtOnce = 16

export class DnsRecords {
  readonly #dns: Resolver
  readonly #order: DnsSettings['order']
  readonly #configuration: ResolverConfiguration

  constructor(dns: Resolver, order: DnsSettings['order'], configuration: ResolverConfiguration) {
    this.#dns = dns
    this.#order = order
    this.#configuration = configuration
  }

  /**
   * Tries every name that the search list makes of this one, with every type of record. Never rejects.
   * @param last the type that was found last time
   */
  async find(name: string, last: RecordType | undefined): Promise<Answer> {
    const types = new Set(this.#order.map((type) => (type === 'last' ? last : type)))
    types.delete(undefined)
    let failure: Failure = { outcome: 'absent', code: 'ENOTFOUND' }
    for (const candidate of candidatesOf(name, this.#configuration)) {
      for (const type of types as Set<RecordType>) {
        const answer = await this.#ask(candidate, type)
        if (answer.outcome === 'found') return { ...answer, type }
        if (answer.outcome === 'absent') continue
        failure = answer
        // Records of another type would be other nodes, because of one question that was lost.
        if (type === last) return failure
      }
    }
    return failure
  }

  async #ask(name: string, type: RecordType): Promise<Found<Target> | Failure> {
    if (type === 'SRV') return this.#services(name)
    const answer =
      type === 'CNAME' ? await this.#alias(name, longestAliasChain) : await this.#addresses(name, type)
    if (answer.outcome !== 'found') return answer
    return { ...answer, targets: answer.targets.map((address) => ({ address, weight: 1 })) }
  }

  async #addresses(name: string, type: 'A' | 'AAAA'): Promise<Found<string> | Failure> {
    try {
      const records =
        type === 'A'
          ? await this.#dns.resolve4(name, { ttl: true })
          : await this.#dns.resolve6(name, { ttl: true })
      const ttl = Math.min(...records.map((record) => record.ttl)) * 1000
      return { outcome: 'found', ttl, targets: records.map(({ address }) => address) }
    } catch (error) {
      return failureOf(error)
    }
  }

  /** For servers that answer with the alias alone. */
  async #alias(name: string, chain: number): Promise<Found<string> | Failure> {
    try {
      const [target] = await this.#dns.resolveCname(name)
      if (target === undefined || chain === 0) return { outcome: 'absent', code: 'ENODATA' }
      const answer = await this.#host(target)
      return answer.outcome === 'absent' ? await this.#alias(target, chain - 1) : answer
    } catch (error) {
      return failureOf(error)
    }
  }

  /** IPv4 or IPv6, whichever is asked for first. */
  async #host(name: string): Promise<Found<string> | Failure> {
    let failure: Failure = { outcome: 'absent', code: 'ENOTFOUND' }
    for (const type of this.#order) {
      if (type !== 'A' && type !== 'AAAA') continue
      const answer = await this.#addresses(name, type)
      if (answer.outcome === 'found') return answer
      if (answer.outcome === 'failed') failure = answer
    }
    return failure
  }

  async #services(name: string): Promise<Found<Target> | Failure> {
    try {
      const records = await this.#dns.resolveSrv(name)
      // A lone root as target says that there is decidedly no such service.
      const offered = records.filter((record) => record.name !== '' && record.name !== '.')
      const hosts = await this.#hosts(new Set(offered.map((record) => record.name)))
      // Without some of its targets, a service would look smaller than it is.
      for (const answer of hosts.values()) if (answer.outcome === 'failed') return answer
      let ttl = longestSrvTtl
      const resolved = offered.flatMap((record) => {
        const answer = hosts.get(record.name)
        if (answer?.outcome !== 'found') return []
        ttl = Math.min(ttl, answer.ttl)
        return [{ record, addresses: answer.targets }]
      })
      const shares = leastCommonMultiple(resolved.map(({ addresses }) => addresses.length))
      const targets = resolved.flatMap(({ record, addresses }) =>
        addresses.map((address) => ({
          address,
          ...(record.port !== 0 && { port: record.port }),
          // Weight 0 is for a very small chance. Addresses of one target share its weight, in whole numbers.
          weight: (Math.max(record.weight, 1) * shares) / addresses.length,
          priority: record.priority,
        })),
      )
      if (offered.length > 0 && targets.length === 0) return { outcome: 'absent', code: 'ENOTFOUND' }
      return { outcome: 'found', ttl, targets }
    } catch (error) {
      return failureOf(error)
    }
  }

  async #hosts(names: ReadonlySet<string>): Promise<Map<string, Found<string> | Failure>> {
    const hosts = new Map<string, Found<string> | Failure>()
    const left = [...names]
    while (left.length > 0) {
      const some = left.splice(0, targetsAtOnce)
      const answers = await Promise.all(some.map((name) => this.#host(name)))
      some.forEach((name, index) => {
        hosts.set(name, answers[index]!)
      })
    }
    return hosts
  }
}

function failureOf(error: unknown): Failure {
  const { code = 'EUNKNOWN' } = error as NodeJS.ErrnoException
  return { outcome: code === 'ENOTFOUND' || code === 'ENODATA' ? 'absent' : 'failed', code }
}

function leastCommonMultiple(counts: readonly number[]): number {
  return counts.reduce((multiple, count) => (multiple / greatestCommonDivisor(multiple, count)) * count, 1)
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
