/** Trailer fields that may travel on (RFC 9110 6.5.1): none that frames, routes, authenticates or modifies the message. */
import type { Head } from './head.ts'

const neverTrailers = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'max-forwards',
  'range',
  'set-cookie',
  'www-authenticate',
])

/** Lines to write between the last chunk and the empty line. */
export function trailerLines(trailers: Head | null): string {
  if (trailers === null) return ''
  let lines = ''
  for (let n = 0; n < trailers.count; n++) {
    const name = trailers.name(n)
    if (trailers.id(n) !== 0 || name.includes('_') || neverTrailers.has(name.toLowerCase())) continue
    lines += `${name}: ${trailers.value(n)}\r\n`
  }
  return lines
}
