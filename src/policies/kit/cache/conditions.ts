/** Preconditions and ranges against what is known of a stored answer (RFC 9110 13 and 14). */

const oneEtag = /(W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

/** Weak comparison of a list, or of `*`, with an entity tag; empty: there is none. */
export function matchesEtag(list: string, etag: string): boolean {
  if (list.trim() === '*') return true
  if (etag === '') return false
  const opaque = etag.replace(/^W\//, '')
  for (const [found] of list.matchAll(oneEtag)) if (found.replace(/^W\//, '') === opaque) return true
  return false
}

/** `[from, to)`; `whole` where the range does not count, `outside` where there is no such part. */
export type Part = readonly [from: number, to: number] | 'whole' | 'outside'

/** One range of bytes; several at once are answered with the whole, as is what cannot be read. */
export function partOf(range: string, length: number): Part {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(range.trim())
  if (match === null || (match[1] === '' && match[2] === '')) return 'whole'
  const [, first = '', last = ''] = match
  if (first === '') {
    const size = Math.min(Number(last), length)
    return size === 0 ? 'outside' : [length - size, length]
  }
  const from = Number(first)
  const to = last === '' ? length : Math.min(Number(last) + 1, length)
  if (last !== '' && Number(last) < from) return 'whole'
  return from >= length ? 'outside' : [from, to]
}
