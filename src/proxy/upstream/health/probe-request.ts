/** The request of a probe, made once. */
import { isIPv6 } from 'node:net'
import type { ActiveCheckSpec } from '../../../config/health-checks.ts'
import type { ProbeTarget } from './probe.ts'

/**
 * @param host of the node, or what `pass_host` makes of it; the check's own wins
 * @returns latin1 text; null for checks that only connect
 */
export function probeRequest(check: ActiveCheckSpec, host: string): string | null {
  if (check.type === 'tcp') return null
  const body = Buffer.from(check.http_req_body)
  const hasHost = check.req_headers.some((line) => /^host:/i.test(line))
  const lines = [
    `${check.http_method} ${latin1(check.http_path)} HTTP/1.1`,
    ...check.req_headers,
    ...(hasHost ? [] : [`Host: ${bracketed(check.host ?? host)}`]),
    ...(body.length > 0 ? [`Content-Length: ${body.length}`] : []),
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body.toString('latin1')}`
}

export function probeTls(check: ActiveCheckSpec, host: string): ProbeTarget['tls'] {
  if (check.type !== 'https') return null
  return { serverName: withoutPort(check.host ?? host), verify: check.https_verify_certificate }
}

/** UTF-8 as the bytes that it is. */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** RFC 9110 section 7.2 with RFC 3986 section 3.2.2. */
function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}

function withoutPort(host: string): string {
  return isIPv6(host) ? host : host.replace(/:\d+$/, '')
}
