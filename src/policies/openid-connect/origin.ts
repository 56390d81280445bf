/** Scheme and authority under which the browser knows the gateway: proxies that are trusted know them better. */
import type { Exchange } from '../kit/index.ts'

const authorityForm = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** Of clients that are not trusted, Forwarded and X-Forwarded-* do not get this far. */
export function seenScheme({ request: { headers }, client }: Exchange): 'http' | 'https' {
  const said = forwarded(headers.get('forwarded'), 'proto') ?? first(headers.get('x-forwarded-proto'))
  const scheme = said?.toLowerCase()
  return scheme === 'http' || scheme === 'https' ? scheme : client.scheme
}

/** Undefined: nobody names one that can stand in a URL. */
export function seenAuthority({ request: { headers } }: Exchange): string | undefined {
  const said = forwarded(headers.get('forwarded'), 'host') ?? first(headers.get('x-forwarded-host'))
  return said !== undefined && authorityForm.test(said) ? said : undefined
}

/** A parameter of the first element, which speaks of the hop next to the browser (RFC 7239 4). */
function forwarded(field: string | undefined, parameter: 'host' | 'proto'): string | undefined {
  for (const pair of first(field)?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals).trim().toLowerCase() !== parameter) continue
    const value = pair.slice(equals + 1).trim()
    return value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
  }
  return undefined
}

/** Neither a host nor a scheme has a comma, so that no quoted one has to be expected. */
const first = (field: string | undefined) =>
  field === undefined ? undefined : /^[^,]*/.exec(field)![0].trim()
