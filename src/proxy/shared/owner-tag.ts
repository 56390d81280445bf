/**
 * Of the key's second and third word, which name the resource that it belongs to: `limit-count:route:1:...`. Of the
 * third, only what stands before a slash: `route:1/0` is a part of what belongs to `route:1`.
 */
export function ownerTag(key: string): number {
  const begin = key.indexOf(':') + 1
  const middle = key.indexOf(':', begin)
  if (middle === -1) return tagOf(key.slice(begin))
  let end = middle + 1
  while (end < key.length && key[end] !== ':' && key[end] !== '/') end++
  return tagOf(key.slice(begin, end))
}

/** FNV-1a. Two owners with one tag lose their state together, which is rare and does no harm. */
export function tagOf(owner: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < owner.length; i++) hash = Math.imul(hash ^ owner.charCodeAt(i), 0x01000193)
  return hash | 0
}
