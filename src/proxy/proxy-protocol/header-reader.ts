/**
 * Reads the header of the PROXY protocol at the begin of a connection:
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from 'node:net'
import { signature } from './header-writer.ts'

export type ProxyHeader =
  | {
      readonly kind: 'header'
      /** Bytes of it. */
      readonly length: number
      /** Null: the peer speaks for itself, or for somebody without an address. */
      readonly client: { readonly address: string; readonly port: number } | null
    }
  /** More has to arrive. */
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid' }

const incomplete: ProxyHeader = { kind: 'incomplete' }
const invalid: ProxyHeader = { kind: 'invalid' }

/** Section 2.1: with the line end. */
const longestText = 107
/** With the further facts that may stand behind the addresses, such as those of TLS. */
const longestBinary = 4096
const binaryHead = 16

/** `bytes[0, length)` is what has arrived. */
export function readProxyHeader(bytes: Buffer, length: number): ProxyHeader {
  if (length === 0) return incomplete
  return bytes[0] === signature[0] ? readBinary(bytes, length) : readText(bytes, length)
}

const begin = Buffer.from('PROXY ', 'latin1')

function readText(bytes: Buffer, length: number): ProxyHeader {
  const known = Math.min(length, begin.length)
  if (begin.compare(bytes, 0, known, 0, known) !== 0) return invalid
  const end = bytes.subarray(0, Math.min(length, longestText)).indexOf('\r\n')
  if (end === -1) return length >= longestText ? invalid : incomplete
  const fields = bytes.toString('latin1', begin.length, end).split(' ')
  const header = { kind: 'header', length: end + 2 } as const
  // The rest of such a line is to be ignored.
  if (fields[0] === 'UNKNOWN') return { ...header, client: null }
  const [protocol, address = '', local = '', port = '', localPort = ''] = fields
  const isAddress = protocol === 'TCP4' ? isIPv4 : protocol === 'TCP6' ? isIPv6 : undefined
  if (isAddress === undefined || fields.length !== 5) return invalid
  if (!isAddress(address) || !isAddress(local) || !isPort(port) || !isPort(localPort)) return invalid
  return { ...header, client: { address: plain(address), port: Number(port) } }
}

const isPort = (text: string) => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

function readBinary(bytes: Buffer, length: number): ProxyHeader {
  const known = Math.min(length, signature.length)
  if (signature.compare(bytes, 0, known, 0, known) !== 0) return invalid
  if (length < binaryHead) return incomplete
  const version = bytes[12]! >> 4
  const command = bytes[12]! & 15
  const size = bytes.readUInt16BE(14)
  const end = binaryHead + size
  if (version !== 2 || command > 1 || end > longestBinary) return invalid
  if (length < end) return incomplete
  const header = { kind: 'header', length: end } as const
  // LOCAL: a check by the peer itself, whatever addresses it names.
  if (command === 0) return { ...header, client: null }
  const family = bytes[13]! >> 4
  const transport = bytes[13]! & 15
  if (family > 3 || transport > 2) return invalid
  if (family === 1) return size < 12 ? invalid : { ...header, client: clientIn(bytes, 4) }
  if (family === 2) return size < 36 ? invalid : { ...header, client: clientIn(bytes, 16) }
  return { ...header, client: null }
}

/** Both addresses, then both ports. */
function clientIn(bytes: Buffer, width: 4 | 16): { address: string; port: number } {
  const raw = bytes.subarray(binaryHead, binaryHead + width)
  const address = width === 4 ? raw.join('.') : plain(ipv6(raw))
  return { address, port: bytes.readUInt16BE(binaryHead + 2 * width) }
}

/** RFC 5952: the longest run of zeros is left out. */
function ipv6(raw: Buffer): string {
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push(raw.readUInt16BE(at).toString(16))
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (groups[at + length] === '0') length++
    if (length > best.length) best = { at, length }
  }
  if (best.at === -1) return groups.join(':')
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`
}

/** An IPv4 client is one however it is written. */
function plain(address: string): string {
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address)
  if (mapped === null) return address
  if (mapped[1] !== undefined) return mapped[1]
  const [high, low] = [Number.parseInt(mapped[2]!, 16), Number.parseInt(mapped[3]!, 16)]
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
