/** A value as XML: maps become elements, lists repeat theirs. */
export function toXml(value: unknown, name: string): string {
  if (Array.isArray(value)) return value.map((item) => toXml(item, name)).join('')
  const tag = elementName(name)
  if (typeof value !== 'object' || value === null) return `<${tag}>${escapeXml(String(value))}</${tag}>`
  const inner = Object.entries(value).map(([key, item]) => toXml(item, key))
  return `<${tag}>${inner.join('')}</${tag}>`
}

/** What cannot stand in a name becomes an underscore. */
function elementName(name: string): string {
  const safe = name.replace(/[^\w.-]/g, '_')
  return /^[A-Za-z_]/.test(safe) ? safe : `_${safe}`
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
