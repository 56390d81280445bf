/** What may be shown of a request: what clients prove who they are with may not. */

const sensitiveField =
  /^(?:authorization|proxy-authorization|cookie|.*(?:password|secret|token|api-?key|apikey|credential|signature).*)$/i

export const hidden = '<redacted>'

/** A line of a head as it may be shown. */
export function shownLine(line: string): string {
  const colon = line.indexOf(':')
  if (colon <= 0 || line.startsWith('/')) return line
  const name = line.slice(0, colon)
  return sensitiveField.test(name) ? `${name}: ${hidden}` : Buffer.from(line, 'latin1').toString()
}
