import type { BodyFilter } from '../../proxy/exchange.ts'

/**
 * A filter that waits for the whole body and then changes it. A body of more than `limit` bytes goes on unchanged from
 * there, and `tooLarge` is called once.
 */
export function wholeBody(
  limit: number,
  change: (body: Buffer) => Buffer | undefined | Promise<Buffer | undefined>,
  tooLarge: () => void,
): BodyFilter {
  let pieces: Buffer[] | null = []
  let size = 0
  return {
    write(piece) {
      if (pieces === null) return piece
      pieces.push(piece)
      size += piece.length
      if (size <= limit) return undefined
      const held = Buffer.concat(pieces)
      pieces = null
      tooLarge()
      return held
    },
    end: () => (pieces === null ? undefined : change(Buffer.concat(pieces))),
  }
}
