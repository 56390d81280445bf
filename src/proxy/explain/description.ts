/** A request that is to be explained, as somebody describes it. */
import { isIP } from 'node:net'

export interface RequestDescription {
  method: string
  /**
   * `http://host:port/path?query`, or a path: then the Host field has to say the host. Of a session: `tcp://address:port`,
   * `udp://address:port`, `tls://name:port`.
   */
  url: string
  headers: (readonly [name: string, value: string])[]
  body?: string
  /** Address of the peer. Default: 127.0.0.1. */
  from?: string
  /** Name of the listener. Default: the one of the URL's port, else the first. */
  listener?: string
}

const protocols = ['http:', 'tcp:', 'tls:', 'udp:']
const fields = ['method', 'url', 'headers', 'body', 'from', 'listener']
const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const lineBreak = /[\r\n\0]/

/** What a description says, or what is wrong with it in one sentence. Headers are a list of pairs or a map. */
export function readDescription(value: unknown): RequestDescription | { problem: string } {
  if (typeof value !== 'object' || value === null) return { problem: 'a request is described by an object' }
  const {
    method = 'GET',
    url,
    headers = [],
    body,
    from,
    listener,
    ...others
  } = value as Record<string, unknown>
  const unknown = Object.keys(others)
  if (unknown.length > 0) return { problem: `there is no field ${unknown[0]}: use ${fields.join(', ')}` }
  if (typeof method !== 'string') return { problem: 'method must be a string' }
  if (typeof url !== 'string') return { problem: 'url must be an http:// URL or a path' }
  if (!url.startsWith('/') && url !== '*' && !protocols.includes(URL.parse(url)?.protocol ?? '')) {
    return { problem: 'url must be an http:// URL, a path, or a tcp://, tls:// or udp:// URL' }
  }
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers as object)
  if (!pairs.every(isField)) return { problem: 'headers must be pairs of a name and a value' }
  for (const [name, text] of Object.entries({ body, from, listener })) {
    if (text !== undefined && typeof text !== 'string') return { problem: `${name} must be a string` }
  }
  if (from !== undefined && isIP(from as string) === 0) return { problem: 'from must be an IP address' }
  return {
    method,
    url,
    headers: pairs as [string, string][],
    ...(body !== undefined && { body: body as string }),
    ...(from !== undefined && { from: from as string }),
    ...(listener !== undefined && { listener: listener as string }),
  }
}

function isField(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false
  const [name, value] = pair as unknown[]
  return (
    typeof name === 'string' && fieldName.test(name) && typeof value === 'string' && !lineBreak.test(value)
  )
}
