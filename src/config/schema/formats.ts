/** The values of the keyword `format`, each with its check and with what it is called in a finding. */
import { isIPv4, isIPv6 } from 'node:net'
import { durationPattern, sizePattern } from '../units.ts'

export interface Format {
  fits(text: string): boolean
  /** Completes `must be ...`. */
  form: string
}

export const formats: ReadonlyMap<string, Format> = new Map<string, Format>([
  [
    'duration',
    {
      fits: (text) => durationPattern.test(text),
      form: 'a duration with its unit, such as 250ms, 10s or 5m',
    },
  ],
  ['size', { fits: (text) => sizePattern.test(text), form: 'a size such as 32KiB or 1MiB' }],
  ['cidr', { fits: isCidr, form: 'an IP address or a CIDR block' }],
  ['ipv4', { fits: isIPv4, form: 'an IPv4 address' }],
  ['ipv6', { fits: isIPv6, form: 'an IPv6 address' }],
  ['regex', { fits: isPattern, form: 'a regular expression' }],
])

function isCidr(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0
  if (bits === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text, 'u')
    return true
  } catch {
    return false
  }
}
