import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'

type Decoder = (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

const decoders: Readonly<Record<string, Decoder>> = {
  gzip: promisify(gunzip),
  br: promisify(brotliDecompress),
  deflate: promisify(inflate),
}

/**
 * What a Content-Encoding stands for; undefined: it is not known.
 * @throws Error when the body is not of that encoding, or of more than `limit` bytes
 */
export async function decodeContent(
  body: Buffer,
  encoding: string | undefined,
  limit: number,
): Promise<Buffer | undefined> {
  const coding = encoding?.trim().toLowerCase() ?? 'identity'
  if (coding === 'identity') return body
  const decode = Object.hasOwn(decoders, coding) ? decoders[coding] : undefined
  return decode?.(body, { maxOutputLength: limit })
}
