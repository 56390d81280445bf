/**
 * Keeps web pages away from the endpoints of operators: a browser on the same machine reaches them too, and sends what
 * any page asks it to.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { type Answer, text } from './server.ts'

/** Refuses what a page of another site made a browser send; undefined for everything else. */
export function refuseForeign({ headers, socket }: IncomingMessage): Answer | undefined {
  const { host = '', origin } = headers
  // A name that a site has lead to 127.0.0.1 makes its pages same-origin with us (DNS rebinding); it still stands in Host.
  if (isLoopback(socket.localAddress ?? '') && !isLocalName(nameOf(host))) {
    return text(403, 'Ask for this under an address or localhost, not under another name.\n')
  }
  if (origin !== undefined && origin !== `http://${host}`) return text(403, crossSite)
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return text(403, crossSite)
  return undefined
}

const crossSite = 'Pages of other sites are not answered.\n'

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address)
}

/** Host without its port; an IPv6 address without its brackets. */
function nameOf(host: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host)
  return match?.[1] ?? match?.[2] ?? ''
}

function isLocalName(name: string): boolean {
  const lower = name.toLowerCase()
  return isIP(lower) !== 0 || lower === 'localhost' || lower.endsWith('.localhost')
}
