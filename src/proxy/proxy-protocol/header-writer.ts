/**
 * The header of the PROXY protocol, which says who the client of a connection is:
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from 'node:net'
import type { ProxyProtocolVersion } from '../../config/plan.ts'
import { readIPv4, readIPv6 } from '../addresses.ts'

export interface ConnectionEnds {
  /** Of the client. */
  readonly address: string
  readonly port: number
  /** That it connected to. */
  readonly localAddress: string
  readonly localPort: number
}

export const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Section 2.1 and 2.2. Ends of different families, or without an address, are told as unknown. */
export function proxyHeader(version: ProxyProtocolVersion, ends: ConnectionEnds): Buffer {
  const { address, localAddress } = ends
  const family = isIPv4(address) && isIPv4(localAddress) ? 4 : isIPv6(address) && isIPv6(localAddress) ? 6 : 0
  return version === 'v1' ? textHeader(family, ends) : binaryHeader(family, ends)
}

/** Of a connection that the gateway opens for itself (section 2.2, command LOCAL). */
export function ownProxyHeader(version: ProxyProtocolVersion): Buffer {
  if (version === 'v1') return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  return Buffer.concat([signature, Buffer.of(0x20, 0, 0, 0)])
}

function textHeader(family: 0 | 4 | 6, { address, port, localAddress, localPort }: ConnectionEnds): Buffer {
  const ends = family === 0 ? 'UNKNOWN' : `TCP${family} ${address} ${localAddress} ${port} ${localPort}`
  return Buffer.from(`PROXY ${ends}\r\n`, 'latin1')
}

function binaryHeader(family: 0 | 4 | 6, { address, port, localAddress, localPort }: ConnectionEnds): Buffer {
  const size = family === 0 ? 0 : family === 4 ? 12 : 36
  const header = Buffer.alloc(16 + size)
  signature.copy(header)
  // Version 2, command PROXY.
  header[12] = 0x21
  // The family, and STREAM; UNSPEC for what cannot be told.
  header[13] = family === 0 ? 0 : family === 4 ? 0x11 : 0x21
  header.writeUInt16BE(size, 14)
  if (family === 0) return header
  let at = writeAddress(header, 16, family, address)
  at = writeAddress(header, at, family, localAddress)
  at = header.writeUInt16BE(port, at)
  header.writeUInt16BE(localPort, at)
  return header
}

/** @returns the offset after it */
function writeAddress(into: Buffer, at: number, family: 4 | 6, address: string): number {
  if (family === 4) return into.writeInt32BE(readIPv4(address), at)
  let end = at
  for (const word of readIPv6(address)) end = into.writeInt32BE(word, end)
  return end
}
