/** What the policies that compress answers share. */
import type { BrotliCompress, Gzip } from 'node:zlib'
import { Type } from '../../config/type.ts'
import type { BodyFilter, Exchange } from '../../proxy/exchange.ts'
import { headerName } from '../../proxy/headers.ts'

export const compressionFields = {
  types: Type.Unsafe<string[] | '*'>({
    anyOf: [{ type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } }, { enum: ['*'] }],
    default: ['text/html'],
    description: 'Media types that are compressed, or `*` for all.',
  }),
  min_length: Type.Integer({
    minimum: 1,
    default: 20,
    description: 'Least bytes of a body whose length is known beforehand.',
  }),
  http_version: Type.Enum([1.1, 1.0], {
    default: 1.1,
    description: 'The oldest version of HTTP that gets it.',
  }),
  vary: Type.Optional(Type.Boolean({ description: 'Whether `Vary: Accept-Encoding` is added.' })),
}

export interface CompressionConfig {
  readonly types: readonly string[] | '*'
  readonly min_length: number
  readonly http_version: number
  readonly vary?: boolean
}

const names = {
  encoding: headerName('Content-Encoding'),
  etag: headerName('ETag'),
  ranges: headerName('Accept-Ranges'),
  vary: headerName('Vary'),
}

/** Statuses of answers that are no part of something else, and have a body. */
const hasOwnBody = (status: number) => status >= 200 && status !== 204 && status !== 206 && status !== 304

/**
 * Whether an answer is to be compressed; if so, its fields say that it is. Only answers of upstreams are, and none that
 * says that it must not be transformed (RFC 9110 7.7).
 */
export function beginCompression(
  exchange: Exchange,
  coding: 'gzip' | 'br',
  config: CompressionConfig,
): boolean {
  const { request, response, answer } = exchange
  if (!response.fromUpstream || !hasOwnBody(response.status) || request.method === 'HEAD') return false
  if (request.version === '1.0' && config.http_version > 1.0) return false
  const type = response.sent('content-type')
  if (type === undefined || (config.types !== '*' && !config.types.includes(mediaType(type)))) return false
  if (response.sent('content-encoding') !== undefined) return false
  const length = response.headers.get('content-length')
  if (length !== undefined && Number(length) < config.min_length) return false
  if (response.sent('cache-control')?.toLowerCase().includes('no-transform')) return false
  if (config.vary === true) answer.add(names.vary, 'Accept-Encoding')
  if (!accepts(request.headers.getAll('accept-encoding'), coding)) return false
  answer.set(names.encoding, coding)
  answer.remove(names.ranges)
  const etag = response.sent('etag')
  if (etag !== undefined && !etag.startsWith('W/')) {
    // The bytes are others, and the content is the same (RFC 9110 8.8.1).
    if (/^"[^"]*"$/.test(etag)) answer.set(names.etag, `W/${etag}`)
    else answer.remove(names.etag)
  }
  return true
}

function mediaType(type: string): string {
  const semicolon = type.indexOf(';')
  return (semicolon === -1 ? type : type.slice(0, semicolon)).trim()
}

/** RFC 9110 12.5.3; a client that says nothing gets nothing compressed. */
export function accepts(field: string | undefined, coding: string): boolean {
  if (field === undefined) return false
  let others = false
  for (const part of field.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
    if (name !== coding && name !== '*') continue
    const wanted = !parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter))
    if (name === coding) return wanted
    others = wanted
  }
  return others
}

/** Compresses piece by piece. What `stream` made of a piece goes on with it, so it has to flush after each. */
export function compressingFilter(stream: Gzip | BrotliCompress): BodyFilter {
  let pieces: Buffer[] = []
  let fail: (error: Error) => void = () => {}
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  stream.on('error', (error) => fail(error))

  function made(work: (done: () => void) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      fail = reject
      work(() => {
        const all = Buffer.concat(pieces)
        pieces = []
        resolve(all)
      })
    })
  }

  return {
    write: (piece) => made((done) => stream.write(piece, () => done())),
    end: () =>
      made((done) => {
        stream.once('end', done)
        stream.end()
      }),
  }
}
