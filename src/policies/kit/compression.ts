/**
 * What the policies that compress answers share. Where several are bound, one of them compresses: the one that the client
 * wants most, and of equals the one with the higher priority, which is asked last.
 */
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

type Coding = 'gzip' | 'br'

/** Who compresses an answer. */
interface Compression {
  coding: Coding
  weight: number
  /** Open once a piece came. */
  stream: Gzip | BrotliCompress | null
}

const compressions = new WeakMap<Exchange, Compression>()

/**
 * Compresses an answer if it is to be; then its fields say that it is. Only answers of upstreams are, and none that says
 * that it must not be transformed (RFC 9110 7.7).
 *
 * @param open makes a stream that flushes after each piece
 */
export function compress(
  exchange: Exchange,
  coding: Coding,
  config: CompressionConfig,
  open: () => Gzip | BrotliCompress,
): BodyFilter | undefined {
  const { request, response, answer } = exchange
  if (!response.fromUpstream || !hasOwnBody(response.status) || request.method === 'HEAD') return undefined
  if (request.version === '1.0' && config.http_version > 1.0) return undefined
  const type = response.sent('content-type')
  if (type === undefined || (config.types !== '*' && !config.types.includes(mediaType(type))))
    return undefined
  const other = compressions.get(exchange)
  if (other === undefined && response.sent('content-encoding') !== undefined) return undefined
  const length = response.headers.get('content-length')
  if (length !== undefined && Number(length) < config.min_length) return undefined
  if (response.sent('cache-control')?.toLowerCase().includes('no-transform')) return undefined
  if (config.vary === true && !variesByEncoding(response.sent('vary')))
    answer.add(names.vary, 'Accept-Encoding')
  const weight = weightOf(request.headers.getAll('accept-encoding'), coding)
  if (weight === 0 || (other !== undefined && other.weight > weight)) return undefined
  answer.set(names.encoding, coding)
  compressions.set(exchange, { coding, weight, stream: null })
  if (other === undefined) changeFields(exchange)
  return new CompressingFilter(exchange, coding, open)
}

/** The exchange is over: what still compresses has nobody to do it for. */
export function endCompression(exchange: Exchange): void {
  compressions.get(exchange)?.stream?.destroy()
}

function changeFields({ response, answer }: Exchange): void {
  answer.remove(names.ranges)
  const etag = response.sent('etag')
  if (etag === undefined || etag.startsWith('W/')) return
  // The bytes are others, and the content is the same (RFC 9110 8.8.1).
  if (/^"[^"]*"$/.test(etag)) answer.set(names.etag, `W/${etag}`)
  else answer.remove(names.etag)
}

function variesByEncoding(vary: string | undefined): boolean {
  return vary?.split(',').some((name) => name.trim().toLowerCase() === 'accept-encoding') === true
}

function mediaType(type: string): string {
  const semicolon = type.indexOf(';')
  return (semicolon === -1 ? type : type.slice(0, semicolon)).trim()
}

/** How much a client wants a coding, from 0 to 1 (RFC 9110 12.5.3); one that says nothing gets nothing compressed. */
export function weightOf(field: string | undefined, coding: string): number {
  if (field === undefined) return 0
  let others = 0
  for (const part of field.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
    if (name !== coding && name !== '*') continue
    let weight = 1
    for (const parameter of parameters) {
      const said = /^q\s*=\s*(\d(?:\.\d*)?)$/.exec(parameter)
      if (said !== null) weight = Math.min(1, Number(said[1]))
    }
    if (name === coding) return weight
    others = weight
  }
  return others
}

/** Compresses piece by piece, unless another one was chosen after it. What became of a piece goes on with it. */
class CompressingFilter implements BodyFilter {
  readonly #exchange: Exchange
  readonly #coding: Coding
  readonly #open: () => Gzip | BrotliCompress
  #pieces: Buffer[] = []
  #fail: (error: Error) => void = () => {}

  constructor(exchange: Exchange, coding: Coding, open: () => Gzip | BrotliCompress) {
    this.#exchange = exchange
    this.#coding = coding
    this.#open = open
  }

  write(piece: Buffer): Buffer | Promise<Buffer> {
    const stream = this.#stream()
    return stream === null ? piece : this.#made((done) => stream.write(piece, () => done()))
  }

  end(): undefined | Promise<Buffer> {
    const stream = this.#stream()
    if (stream === null) return undefined
    return this.#made((done) => {
      stream.once('end', done)
      stream.end()
    })
  }

  /** Null: another one compresses. */
  #stream(): Gzip | BrotliCompress | null {
    const compression = compressions.get(this.#exchange)!
    if (compression.coding !== this.#coding) return null
    if (compression.stream === null) {
      compression.stream = this.#open()
      compression.stream.on('data', (piece: Buffer) => this.#pieces.push(piece))
      compression.stream.on('error', (error) => this.#fail(error))
    }
    return compression.stream
  }

  #made(work: (done: () => void) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#fail = reject
      work(() => {
        const all = Buffer.concat(this.#pieces)
        this.#pieces = []
        resolve(all)
      })
    })
  }
}
