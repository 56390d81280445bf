/** A message of syslog (RFC 5424), as APISIX writes it: facility `syslog`, severity `informational`. */
import { timestamp } from './timestamp.ts'

const priority = 5 * 8 + 6

/** @param data structured data as it stands in the line, `-` for none */
export function syslogLine(host: string, message: string, now: number, data = '-'): string {
  return `<${priority}>1 ${timestamp(now)} ${hostName(host)} apisix ${process.pid} - ${data} ${message}\n`
}

/** Printable ASCII without spaces; a name that somebody else chose splits no line (RFC 5424 6). */
export function hostName(host: string): string {
  return host.replace(/[^!-~]/g, '').slice(0, 255) || '-'
}
