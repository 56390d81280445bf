/** One lookup of a host name: the hosts file, then DNS, then whatever else the system knows. */
import { Resolver as DnsResolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP, isIPv4 } from 'node:net'

export type Answer =
  /** `ttl` in milliseconds. */
  | { outcome: 'found'; addresses: readonly string[]; ttl: number }
  /** Those who know say that there is no such name, or that it has no address. */
  | { outcome: 'absent'; code: string }
  /** Nobody could say. */
  | { outcome: 'failed'; code: string }

export interface NameSources {
  /** `host:port` of DNS servers; absent: those of the system. */
  servers: readonly string[] | undefined
  hostsFile: string
  lookup: (host: string) => Promise<readonly string[]>
}

/** For sources that do not say how long an answer holds. */
const UNSTATED_TTL = 10_000

export class NameService {
  readonly #sources: NameSources
  readonly #dns: DnsResolver

  /** @param timeout milliseconds that all tries of one DNS question may take together */
  constructor(timeout: number, sources: NameSources) {
    this.#sources = sources
    // The second try waits twice as long as the first.
    this.#dns = new DnsResolver({ timeout: Math.max(1, Math.floor(timeout / 3)), tries: 2 })
    if (sources.servers !== undefined) this.#dns.setServers([...sources.servers])
  }

  /** Never rejects. */
  async find(host: string): Promise<Answer> {
    const local = await this.#inHostsFile(host)
    if (local.length > 0) return { outcome: 'found', addresses: preferred(local), ttl: UNSTATED_TTL }
    const answer = await this.#inDns(host)
    return answer.outcome === 'absent' ? this.#inSystem(host, answer) : answer
  }

  close(): void {
    this.#dns.cancel()
  }

  async #inHostsFile(host: string): Promise<string[]> {
    const text = await readFile(this.#sources.hostsFile, 'utf8').catch(() => '')
    const addresses: string[] = []
    for (const line of text.split('\n')) {
      const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
      if (isIP(address) !== 0 && names.some((name) => name.toLowerCase() === host.toLowerCase()))
        addresses.push(address)
    }
    return addresses
  }

  /** IPv6 is asked for only where there is no IPv4, as APISIX does: many hosts have an IPv6 address that nobody can reach. */
  async #inDns(host: string): Promise<Answer> {
    const four = await found(this.#dns.resolve4(host, { ttl: true }))
    return four.outcome === 'absent' ? found(this.#dns.resolve6(host, { ttl: true })) : four
  }

  /** Search domains and sources beyond DNS, as in a container platform's short names. */
  async #inSystem(host: string, absent: Answer): Promise<Answer> {
    try {
      const addresses = await this.#sources.lookup(host)
      return addresses.length === 0
        ? absent
        : { outcome: 'found', addresses: preferred(addresses), ttl: UNSTATED_TTL }
    } catch {
      return absent
    }
  }
}

async function found(records: Promise<{ address: string; ttl: number }[]>): Promise<Answer> {
  try {
    const list = await records
    const ttl = Math.min(...list.map((record) => record.ttl)) * 1000
    return { outcome: 'found', addresses: list.map((record) => record.address), ttl }
  } catch (error) {
    const { code = 'EUNKNOWN' } = error as NodeJS.ErrnoException
    return { outcome: code === 'ENOTFOUND' || code === 'ENODATA' ? 'absent' : 'failed', code }
  }
}

function preferred(addresses: readonly string[]): readonly string[] {
  const four = addresses.filter((address) => isIPv4(address))
  return four.length > 0 ? four : addresses
}
