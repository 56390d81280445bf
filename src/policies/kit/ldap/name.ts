/** Distinguished names (RFC 4514) and addresses of directories. */

const special = /[,+=<>;"\\]/g
const control = /[\u0000-\u001f\u007f]/g

/**
 * A value as it stands in a distinguished name: nothing in it can end it (RFC 4514 2.4). `=` is escaped too, as APISIX
 * has it.
 */
export function escapedValue(text: string): string {
  const escaped = text
    .replace(special, '\\$&')
    .replace(control, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replace(/^[ #]/, '\\$&')
  return text.length > 1 && text.endsWith(' ') ? `${escaped.slice(0, -1)}\\ ` : escaped
}

export interface DirectoryAddress {
  readonly host: string
  readonly port: number | undefined
  readonly tls: boolean
}

const address = /^(?:(ldaps?):\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s:/@?#[\]]+)(?::([0-9]{1,5}))?\/?$/

/** `host`, `host:port`, with or without `ldap://` or `ldaps://` before it; undefined: something else. */
export function parseDirectoryAddress(text: string): DirectoryAddress | undefined {
  const match = address.exec(text)
  if (match === null) return undefined
  const [, scheme, host = '', digits] = match
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port === 0 || port > 65_535)) return undefined
  return { host: host.replace(/^\[|\]$/g, ''), port, tls: scheme === 'ldaps' }
}

/** A directory knows texts in UTF-8 (RFC 4513 5.1.3); undefined: it is none. @param bytes one character a byte */
export function inUtf8(bytes: string): string | undefined {
  const buffer = Buffer.from(bytes, 'latin1')
  const text = buffer.toString('utf8')
  return Buffer.from(text).equals(buffer) ? text : undefined
}
