import type { BodyFilter } from '../../proxy/exchange.ts'

/** A filter that waits for the whole body and then changes it; `isCut`: what was beyond `limit` bytes is missing. */
export function wholeBody(
  limit: number,
  change: (body: Buffer, isCut: boolean) => Buffer | undefined | Promise<Buffer | undefined>,
): BodyFilter {
  const pieces: Buffer[] = []
  let size = 0
  return {
    write(piece) {
      if (size < limit) pieces.push(piece.subarray(0, limit - size))
      size += piece.length
      return undefined
    },
    end: () => change(Buffer.concat(pieces), size > limit),
  }
}
