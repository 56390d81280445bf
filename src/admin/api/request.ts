/** A request of the Admin API, read whole. */
import type { IncomingMessage } from 'node:http'

export interface ApiRequest {
  /** Address of the peer; one of IPv4 is written as such, whichever socket it came to. */
  client: string
  method: string
  /** Decoded segments of the path, without empty ones. */
  segments: readonly string[]
  query: URLSearchParams
  headers: IncomingMessage['headers']
  /** Absent: there was none. */
  body?: string
}

/** The largest body that APISIX takes, in bytes: 1.5 MiB. */
const largestBody = 1_572_864
/** A whole configuration is as large as it is. */
const largestDocument = 256 * 1024 * 1024

export class BodyTooLarge extends Error {}

/** Without its body: whoever may not ask sends it in vain. */
export function readHead({ method = '', url = '', headers, socket }: IncomingMessage): ApiRequest {
  const client = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
  const [path = '', ...query] = url.split('?')
  const segments = path.split('/').filter((segment) => segment !== '')
  return {
    client,
    method,
    segments: segments.map(decoded),
    query: new URLSearchParams(query.join('?')),
    headers,
  }
}

/** @throws `BodyTooLarge`, in the words of APISIX; whatever the connection throws */
export async function readWhole(incoming: IncomingMessage, head: ApiRequest): Promise<ApiRequest> {
  const body = await readBody(incoming, head.segments[2] === 'configs' ? largestDocument : largestBody)
  return body === '' ? head : { ...head, body }
}

async function readBody(incoming: IncomingMessage, largest: number): Promise<string> {
  const declared = Number(incoming.headers['content-length'] ?? 0)
  if (declared > largest) throw tooLarge(declared, largest)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming) {
    size += chunk.length
    if (size > largest) throw tooLarge(size, largest)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const tooLarge = (size: number, largest: number) =>
  new BodyTooLarge(`request size ${size} is greater than the maximum size ${largest} allowed`)

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
