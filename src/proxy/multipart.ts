/** Reads the named parts of a multipart/form-data body (RFC 7578), one character a byte. */

/** Parts by name, the last of each; null when it is no such body. Lines may end with a line feed alone, as APISIX has it. */
export function readMultipart(body: string, contentType: string): Map<string, string> | null {
  const boundary = boundaryOf(contentType)
  if (boundary === '') return null
  const parts = new Map<string, string>()
  const delimiter = `--${boundary}`
  let at = body.startsWith(delimiter) ? 0 : body.indexOf(`\n${delimiter}`) + 1
  if (at === 0 && !body.startsWith(delimiter)) return null
  for (;;) {
    const start = body.indexOf('\n', at) + 1
    if (start === 0 || body.startsWith('--', at + delimiter.length)) return parts
    const end = body.indexOf(`\n${delimiter}`, start - 1)
    const stop = end === -1 ? body.length : Math.max(end, start)
    readPart(body.slice(start, stop), parts)
    if (end === -1) return parts
    at = end + 1
  }
}

function readPart(part: string, parts: Map<string, string>): void {
  const blank = /^\r?\n|\r?\n\r?\n/.exec(part)
  if (blank === null) return
  const name = nameOf(part.slice(0, blank.index))
  if (name === undefined) return
  const content = part.slice(blank.index + blank[0].length)
  parts.set(name, content.endsWith('\r') ? content.slice(0, -1) : content)
}

function nameOf(fields: string): string | undefined {
  const disposition = /^content-disposition[ \t]*:(.*)$/im.exec(fields)?.[1]
  const match = disposition && /;[ \t]*name[ \t]*=[ \t]*(?:"((?:\\.|[^"\\])*)"|([^";\s]+))/i.exec(disposition)
  if (!match) return undefined
  return match[1] === undefined ? match[2] : match[1].replace(/\\(["\\])/g, '$1')
}

function boundaryOf(contentType: string): string {
  const match = /;[ \t]*boundary=(?:"([^"]{1,70})"|([^";,\s]{1,70}))/i.exec(contentType)
  return match?.[1] ?? match?.[2] ?? ''
}
