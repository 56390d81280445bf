/** Whose X-Forwarded-* fields are believed, and what the client's address is then. */
import { BlockList, isIP, isIPv6 } from 'node:net'

export class TrustedAddresses {
  private readonly blocks: BlockList | null

  /** @param entries addresses and CIDR blocks, IPv4 and IPv6 */
  constructor(entries: readonly string[]) {
    this.blocks = entries.length === 0 ? null : new BlockList()
    for (const entry of entries) {
      const [address, bits] = entry.split('/') as [string, string | undefined]
      const family = isIPv6(address) ? 'ipv6' : 'ipv4'
      if (bits === undefined) this.blocks?.addAddress(address, family)
      else this.blocks?.addSubnet(address, Number(bits), family)
    }
  }

  includes(address: string): boolean {
    if (this.blocks === null) return false
    const family = isIP(address)
    return family !== 0 && this.blocks.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }

  /**
   * The address of the client behind a trusted peer: the last entry of X-Forwarded-For that is not one of ours.
   * Read from the right, because only our own proxies wrote that end of it.
   */
  clientBehind(peer: string, forwardedFor: string | undefined): string {
    if (forwardedFor === undefined) return peer
    let client = peer
    for (const entry of forwardedFor.split(',').reverse()) {
      const address = entry.trim()
      if (isIP(address) === 0) return client
      client = address
      if (!this.includes(address)) return client
    }
    return client
  }
}
