import type { ExchangeRequest } from '../../proxy/exchange.ts'

/** In lower case; null when there are two, of which others could take the other. */
export function contentTypeOf({ headers }: ExchangeRequest): string | undefined | null {
  let found: string | undefined | null
  headers.forEach((name, value) => {
    if (name.toLowerCase() === 'content-type') found = found === undefined ? value.toLowerCase() : null
  })
  return found
}
