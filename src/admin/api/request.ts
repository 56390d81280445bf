/** A request of the Admin API, read whole. */
import type { IncomingMessage } from 'node:http'

export interface ApiRequest {
  method: string
  /** Decoded segments of the path, without empty ones. */
  segments: readonly string[]
  query: URLSearchParams
  headers: IncomingMessage['headers']
  /** Absent: there was none. */
  body?: string
}

/** The largest body that APISIX takes, in bytes: 1.5 MiB. */
export const largestBody = 1_572_864

export class BodyTooLarge extends Error {}

/** @throws `BodyTooLarge`, in the words of APISIX; whatever the connection throws */
export async function readRequest(incoming: IncomingMessage): Promise<ApiRequest> {
  const [path = '', ...query] = (incoming.url ?? '').split('?')
  const body = await readBody(incoming)
  return {
    method: incoming.method ?? '',
    segments: path
      .split('/')
      .filter((segment) => segment !== '')
      .map(decoded),
    query: new URLSearchParams(query.join('?')),
    headers: incoming.headers,
    ...(body !== '' && { body }),
  }
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const declared = Number(incoming.headers['content-length'] ?? 0)
  if (declared > largestBody) throw tooLarge(declared)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming) {
    size += chunk.length
    if (size > largestBody) throw tooLarge(size)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

const tooLarge = (size: number) =>
  new BodyTooLarge(`request size ${size} is greater than the maximum size ${largestBody} allowed`)

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
