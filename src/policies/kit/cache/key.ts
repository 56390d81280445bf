/** What an answer is found by. */
import { hash } from 'node:crypto'
import type { Exchange, HeaderView } from '../../../proxy/exchange.ts'

/** A digest of the parts that no other parts have. */
export function digestOf(parts: readonly string[]): Buffer {
  let text = ''
  for (const part of parts) text += `${part.length}:${part}`
  return hash('sha256', Buffer.from(text, 'latin1'), 'buffer')
}

/**
 * What keeps answers apart whatever the configuration says: the route, scheme and host, and what policies made of the
 * request for the upstream.
 */
export function placeOf({ binding, client, request }: Exchange, scheme = client.scheme): string[] {
  return [binding?.routeId ?? '', scheme, request.host, request.rewritten]
}

/** Who asked: the consumer, or, where the gateway knows none, what the request identifies itself with. */
export function identityOf({ consumer, request }: Exchange): string {
  if (consumer !== null) return `c${consumer.username}`
  const authorization = request.headers.sent('authorization')
  return authorization === undefined ? '' : `a${authorization}`
}

/** The names in `Vary`, in lower case and in order; null: it says that every request is another (RFC 9111 4.1). */
export function varyNames(headers: HeaderView): string[] | null {
  const value = headers.getAll('vary')
  if (value === undefined) return []
  const names = new Set(value.split(',').map((name) => name.trim().toLowerCase()))
  names.delete('')
  return names.has('*') ? null : [...names].sort()
}

/** What the request says in those fields, without the white space that lists may have (RFC 9111 4.1). */
export function varyValues(headers: HeaderView, names: readonly string[]): string[] {
  return names.map((name) => {
    const value = headers.getAll(name)
    return value === undefined ? '' : `=${value.replace(/\s*,\s*/g, ',')}`
  })
}
