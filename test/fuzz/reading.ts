/** What a parser made of a stream of bytes, in a form in which parsers can be compared. */

export interface ReadMessage {
  /** `METHOD target`, or `status reason`. */
  start: string
  minor: number
  fields: [name: string, value: string][]
  /** One character a byte. */
  body: string
  trailers: [name: string, value: string][]
}

export interface Reading {
  /** Complete messages, in order. */
  messages: ReadMessage[]
  /** What follows the last message can be no beginning of another. */
  refused: boolean
  /** The last message ends the connection or switches protocols, so that nothing behind it counts. */
  ended: boolean
}

export type Kind = 'request' | 'response'

/** Cuts bytes at rising offsets, so that a parser sees them in several reads. */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  let from = 0
  for (const offset of offsets) {
    pieces.push(bytes.subarray(from, offset))
    from = offset
  }
  pieces.push(bytes.subarray(from))
  return pieces
}
