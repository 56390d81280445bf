/** Addresses of API instances and services. */
import type { Place, Report } from '../../report.ts'

export interface InstanceAddress {
  isSecure: boolean
  host: string
  port: number
  /** Without a slash at its end; empty: there is none. */
  base: string
}

export interface ServiceAddress {
  scheme: 'http' | 'https' | 'grpc'
  host: string
  port: number
}

/** Undefined: it is none, and the report says so. */
export function instanceAddress(text: string, place: Place, report: Report): InstanceAddress | undefined {
  const url = partsOf(text, ['http:', 'https:'], place, report)
  if (url === undefined) return undefined
  const isSecure = url.scheme === 'https:'
  return {
    isSecure,
    host: url.hostname,
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    base: url.pathname.replace(/\/+$/, ''),
  }
}

const schemes = { 'http:': 'http', 'https:': 'https', 'h2:': 'grpc' } as const
const standardPorts = { http: 80, https: 443, grpc: 80 } as const

export function serviceAddress(text: string, place: Place, report: Report): ServiceAddress | undefined {
  const url = partsOf(text, Object.keys(schemes), place, report)
  if (url === undefined) return undefined
  if (url.pathname !== '/') {
    report.add(place, {
      code: 'invalid-value',
      message: 'the address of a service has no path',
      hint: 'Write the path as destinationPath of its routes.',
    })
    return undefined
  }
  const scheme = schemes[url.scheme as keyof typeof schemes]
  return {
    scheme,
    host: url.hostname,
    port: url.port === '' ? standardPorts[scheme] : Number(url.port),
  }
}

interface Parts {
  scheme: string
  hostname: string
  /** Empty: that of the scheme. */
  port: string
  pathname: string
}

/** Schemes that URLs know have hosts in a form of their own; the others are read as if they were `http`. */
function partsOf(text: string, known: readonly string[], place: Place, report: Report): Parts | undefined {
  const scheme = /^[a-z][a-z0-9+.-]*:/.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  const url = known.includes(scheme) && rest.startsWith('//') ? URL.parse(`http:${rest}`) : null
  if (url === null || `${url.username}${url.password}${url.search}${url.hash}` !== '') {
    report.add(place, {
      code: 'invalid-value',
      message: `must be an address that begins with ${known.map((one) => `${one}//`).join(' or ')}`,
    })
    return undefined
  }
  // For URLs port 80 of http is no port.
  const port = /^\/\/[^/]*:(\d+)(?:\/|$)/.exec(rest)?.[1] ?? ''
  return { scheme, hostname: url.hostname.replace(/^\[|\]$/g, ''), port, pathname: url.pathname }
}
