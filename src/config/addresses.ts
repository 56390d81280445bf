/** IP addresses and CIDR blocks as APISIX accepts them in conditions. */
import { isIPv4, isIPv6 } from 'node:net'

export interface Block {
  /** Without brackets. */
  address: string
  family: 4 | 6
  /** Length of the prefix: 0 to 32, or 0 to 128. */
  bits: number
}

/** `10.0.0.1`, `10.0.0.0/8`, `::1`, `[::1]` or `fd00::/8`; undefined for anything else. */
export function parseBlock(text: string): Block | undefined {
  const [written = '', prefix, ...rest] = text.split('/')
  const address = /^\[.*\]$/.test(written) ? written.slice(1, -1) : written
  const family = isIPv4(written) ? 4 : isIPv6(address) && !address.includes('%') ? 6 : undefined
  if (family === undefined || rest.length > 0) return undefined
  const most = family === 4 ? 32 : 128
  if (prefix === undefined) return { address, family, bits: most }
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > most) return undefined
  return { address, family, bits: Number(prefix) }
}

/** What is wrong with an entry, in APISIX's words. */
export function addressProblem(entry: unknown): string | undefined {
  if (typeof entry !== 'string') return 'invalid ip address'
  return parseBlock(entry) === undefined ? `invalid ip address: ${entry.split('/', 1)[0]}` : undefined
}

const octet = '([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])'
/** The forms that APISIX's schemas have for an address or a block of them. */
export const apisixAddressForms = [
  { title: 'IPv4', type: 'string', format: 'ipv4' },
  {
    title: 'IPv4/CIDR',
    type: 'string',
    pattern: `^${Array(4).fill(octet).join('\\.')}/([12]?[0-9]|3[0-2])$`,
  },
  { title: 'IPv6', type: 'string', format: 'ipv6' },
  {
    title: 'IPv6/CIDR',
    type: 'string',
    pattern: '^([a-fA-F0-9]{0,4}:){1,8}(:[a-fA-F0-9]{0,4}){0,8}([a-fA-F0-9]{0,4})?/[0-9]{1,3}$',
  },
]
