/** Event streams of AWS (`application/vnd.amazon.eventstream`) out of pieces that are cut anywhere. */
import { crc32 } from 'node:zlib'

export interface AwsEvent {
  /** Its fields that are texts, such as `:event-type`. */
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Buffer
}

/** Bytes of one message; those of Bedrock are far below. */
const largest = 16 * 1024 * 1024
const prelude = 12
const trailer = 4
/** Bytes of values by their type; -1: two bytes say it. */
const sizes = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]
const textType = 7

export class AwsEventStream {
  #pieces: Buffer[] = []
  #size = 0
  /** Bytes that there have to be before anything can be read. */
  #wanted = prelude
  /** What came is no such stream: nothing of it is read any more. */
  #isBroken = false

  /** The events that end with this piece. */
  read(piece: Buffer): AwsEvent[] {
    if (this.#isBroken) return []
    this.#pieces.push(piece)
    this.#size += piece.length
    if (this.#size < this.#wanted) return []
    let rest = Buffer.concat(this.#pieces)
    const events: AwsEvent[] = []
    while (rest.length >= prelude) {
      const total = rest.readUInt32BE(0)
      const headers = rest.readUInt32BE(4)
      const isSound =
        total <= largest &&
        total >= prelude + trailer + headers &&
        crc32(rest.subarray(0, 8)) === rest.readUInt32BE(8)
      if (!isSound) return this.#stop(events)
      if (rest.length < total) {
        this.#keep(rest, total)
        return events
      }
      const end = total - trailer
      if (crc32(rest.subarray(0, end)) !== rest.readUInt32BE(end)) return this.#stop(events)
      events.push({
        headers: fieldsOf(rest.subarray(prelude, prelude + headers)),
        payload: rest.subarray(prelude + headers, end),
      })
      rest = rest.subarray(total)
    }
    this.#keep(rest, prelude)
    return events
  }

  #keep(rest: Buffer, wanted: number): void {
    this.#pieces = rest.length === 0 ? [] : [rest]
    this.#size = rest.length
    this.#wanted = wanted
  }

  #stop(events: AwsEvent[]): AwsEvent[] {
    this.#isBroken = true
    this.#pieces = []
    return events
  }
}

/** As far as they can be read. */
function fieldsOf(bytes: Buffer): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let at = 0; at < bytes.length; ) {
    const name = bytes.toString('latin1', at + 1, at + 1 + bytes[at]!)
    at += 1 + bytes[at]!
    const type = bytes[at++]
    let size = sizes[type ?? -1]
    if (size === undefined) break
    if (size === -1) {
      if (at + 2 > bytes.length) break
      size = bytes.readUInt16BE(at)
      at += 2
    }
    if (at + size > bytes.length) break
    if (type === textType && name.startsWith(':')) fields[name] = bytes.toString('utf8', at, at + size)
    at += size
  }
  return fields
}
