/** The escaping that nginx applies to a path that it writes anew (`ngx_escape_uri` of the kind URI). */
const escaped = /[\0-\x20"#%<>?\\^`{|}\x7f-\xff]/g
const control = /[\0-\x1f\x7f]/g

/** One character a byte, as everything here. */
export function escapePath(path: string): string {
  return path.replace(escaped, percent)
}

/** A query keeps its delimiters; nothing in it may end the request line. Bytes that a target cannot hold are escaped too. */
export function escapeQuery(query: string): string {
  return query.replace(control, percent).replace(/[ \x80-\xff]/g, percent)
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
