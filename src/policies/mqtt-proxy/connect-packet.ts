/** The first packet of an MQTT client (MQTT 5.0 section 3.1; 3.1.1 section 3.1), as far as it says who connects. */

export interface ConnectPacket {
  readonly protocol: string
  readonly level: number
  /** Empty: the server is to choose one. */
  readonly clientId: string
}

/** Bytes of a packet that is looked at; a client identifier has at most 65535. */
export const largestPacket = 128 * 1024

const connect = 1
const version5 = 5

/** Bytes that the packet has altogether; 0: that is not known yet, -1: it is none. */
export function packetLength(bytes: Buffer): number {
  if (bytes.length === 0) return 0
  if (bytes[0]! >> 4 !== connect) return -1
  const rest = variableInteger(bytes, 1)
  if (rest === null) return bytes.length > 4 ? -1 : 0
  const length = rest.end + rest.value
  return length > largestPacket ? -1 : length
}

/** A complete packet; null: it is malformed. */
export function readConnectPacket(bytes: Buffer): ConnectPacket | null {
  const start = variableInteger(bytes, 1)
  const name = start && text(bytes, start.end)
  if (name === null || name.end + 4 > bytes.length) return null
  const level = bytes[name.end]!
  // Behind the level: one byte of flags, and two of keep-alive.
  let at = name.end + 4
  if (level === version5) {
    const properties = variableInteger(bytes, at)
    if (properties === null) return null
    at = properties.end + properties.value
  }
  const clientId = text(bytes, at)
  return clientId && { protocol: name.value, level, clientId: clientId.value }
}

interface Read<T> {
  readonly value: T
  /** The offset after it. */
  readonly end: number
}

/** MQTT 5.0 section 1.5.5: at most four bytes. Null: it is not complete. */
function variableInteger(bytes: Buffer, from: number): Read<number> | null {
  let value = 0
  for (let at = from; at < from + 4 && at < bytes.length; at++) {
    value += (bytes[at]! & 127) * 128 ** (at - from)
    if ((bytes[at]! & 128) === 0) return { value, end: at + 1 }
  }
  return null
}

/** One character a byte. */
function text(bytes: Buffer, at: number): Read<string> | null {
  if (at + 2 > bytes.length) return null
  const end = at + 2 + bytes.readUInt16BE(at)
  return end > bytes.length ? null : { value: bytes.toString('latin1', at + 2, end), end }
}
