import { Type } from '../../../config/type.ts'
import type { Exchange, PolicyHandlers, Verdict } from '../../../proxy/exchange.ts'
import { contentTypeOf } from '../content-type.ts'
import type { PolicyLog } from '../host.ts'

/** Reads a body of one format; what it finds is the end of a sentence about the body. */
export interface Scanner {
  /** @param piece one character a byte */
  write(piece: string): string | undefined
  end(): string | undefined
}

/** A limit that is off unless the configuration says otherwise. */
export const limit = (description: string) => Type.Integer({ minimum: -1, default: -1, description })

/** Settings that guards of every format share. */
export const guardFields = {
  every_type: Type.Boolean({
    default: false,
    description: 'Whether bodies are read as well that say to be something else.',
  }),
  max_req_body_size: Type.Integer({
    minimum: 1,
    default: 67_108_864,
    description: 'Bytes of a body that is read; a larger one is answered with 413.',
  }),
  rejected_code: Type.Integer({
    minimum: 400,
    maximum: 599,
    default: 400,
    description: 'Status of a rejection.',
  }),
  rejected_msg: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Message of a rejection; absent: what is wrong.',
    }),
  ),
}

interface GuardConfig {
  readonly every_type: boolean
  readonly max_req_body_size: number
  readonly rejected_code: number
  readonly rejected_msg?: string
}

/** Bytes of a body that is read to its end before the upstream gets any of it. */
const heldSize = 64 * 1024

/** A body that is looked at on its way. */
interface Scan {
  readonly scanner: Scanner
  /** Bytes that are still to come. */
  left: number
}

/**
 * Keeps from the upstream what `scannerOf` finds wrong. A large body whose length is known is looked at on its way: what is
 * wrong stops it, so the upstream never has the whole of it, and nothing of it is kept. Other bodies are read first.
 *
 * A body that says to be of another format passes; one that says nothing is read, since the upstream may read it too.
 *
 * @param format as in its media types: `json`
 */
export function guard(
  format: 'json' | 'xml',
  config: GuardConfig,
  log: PolicyLog,
  scannerOf: () => Scanner,
): PolicyHandlers {
  const { every_type: everyType, max_req_body_size: largest, rejected_code: status } = config
  const mediaType = new RegExp(`^(?:application|text)/${format}$|\\+${format}$`)

  function reject(reason: string): Verdict {
    log.debug({ reason }, `a body that says to be ${format} was rejected`)
    return { status, body: { message: config.rejected_msg ?? `The body was refused: ${reason}` } }
  }

  async function scan({ request }: Exchange): Promise<Verdict | undefined> {
    const body = await request.readBody(largest)
    if (body === null) return { status: 413 }
    if (body === '') return undefined
    const scanner = scannerOf()
    const problem = scanner.write(body) ?? scanner.end()
    return problem === undefined ? undefined : reject(problem)
  }

  const scans = new WeakMap<Exchange, Scan>()

  function scanOnItsWay(exchange: Exchange, length: number): Verdict | undefined {
    if (length > largest) return { status: 413 }
    scans.set(exchange, { scanner: scannerOf(), left: length })
    return undefined
  }

  return {
    requestBody(exchange, piece) {
      const scan = scans.get(exchange)
      if (scan === undefined) return undefined
      const { scanner } = scan
      scan.left -= piece.length
      const problem = scanner.write(piece.toString('latin1')) ?? (scan.left === 0 ? scanner.end() : undefined)
      return problem === undefined ? undefined : reject(problem)
    },
    request(exchange) {
      const { request } = exchange
      if (request.contentLength === 0) return undefined
      const declared = contentTypeOf(request)
      if (declared === null) return reject('it has two types')
      const [type = '', ...parameters] = (declared ?? '').split(';')
      if (!everyType && type.trim() !== '' && !mediaType.test(type.trim())) return undefined
      if (!parameters.every(isReadable)) return reject('it is not UTF-8')
      const encoding = request.headers.getAll('content-encoding')?.toLowerCase() ?? 'identity'
      if (encoding !== 'identity') return reject('it is compressed')
      const { contentLength: length } = request
      return length > heldSize ? scanOnItsWay(exchange, length) : scan(exchange)
    },
  }
}

/** Whether a parameter of a media type leaves the body readable: any but a `charset` that is not known. */
function isReadable(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=')
  return name.trim() !== 'charset' || /^\s*"?(?:utf-?8|us-ascii)"?\s*$/.test(value)
}
