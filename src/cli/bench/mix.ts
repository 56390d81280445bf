import { UsageError } from '../command.ts'

/** One kind of request that a load test sends. */
export interface LoadRequest {
  method: string
  /** Path and query, as they go on the wire. */
  path: string
  headers: Record<string, string>
  body: Buffer | null
  /** Its share among the others. */
  weight: number
}

/**
 * Reads a mix of requests: JSON Lines, each an object with any of `method`, `path`, `headers`, `body`, `weight`;
 * what one leaves out comes from `base`, and its headers win over those of `base` by name.
 * Throws a UsageError that names the line.
 */
export function parseMix(text: string, base: LoadRequest): LoadRequest[] {
  const mix = text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => mixLine(line, number, base))
  if (mix.length === 0) throw new UsageError('--mix: the file holds no request')
  return mix
}

/** Picks at random, by weight. */
export function picker(mix: readonly LoadRequest[]): () => LoadRequest {
  if (mix.length === 1) return () => mix[0]!
  const ends: number[] = []
  let total = 0
  for (const { weight } of mix) {
    total += weight
    ends.push(total)
  }
  return () => {
    const point = Math.random() * total
    return mix[ends.findIndex((end) => point < end)]!
  }
}

function mixLine(line: string, number: number, base: LoadRequest): LoadRequest {
  const wrong = (what: string) => new UsageError(`--mix, line ${number}: ${what}`)
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw wrong((error as Error).message)
  }
  if (!isRecord(value)) throw wrong('a JSON object is needed')

  const request = { ...base }
  for (const [field, setting] of Object.entries(value)) {
    switch (field) {
      case 'method':
        request.method = readMethod(setting) ?? fail(wrong('method is a word such as GET'))
        break
      case 'path':
        if (typeof setting !== 'string' || !setting.startsWith('/')) throw wrong('path starts with /')
        request.path = setting
        break
      case 'headers':
        request.headers = mergeHeaders(base.headers, setting) ?? fail(wrong('headers are names and strings'))
        break
      case 'body':
        request.body = Buffer.from(typeof setting === 'string' ? setting : JSON.stringify(setting))
        break
      case 'weight':
        if (typeof setting !== 'number' || !(setting > 0)) throw wrong('weight is a number above 0')
        request.weight = setting
        break
      default:
        throw wrong(`unknown field '${field}' (there are method, path, headers, body, weight)`)
    }
  }
  return request
}

/** Upper case, as methods are; undefined when it is none that can be sent here. */
export function readMethod(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z-]+$/.test(value)) return undefined
  const method = value.toUpperCase()
  return method === 'CONNECT' ? undefined : method
}

/** The second wins where names are the same but for case. */
function mergeHeaders(base: Record<string, string>, own: unknown): Record<string, string> | undefined {
  if (!isRecord(own)) return undefined
  const merged = { ...base }
  for (const [name, value] of Object.entries(own)) {
    if (typeof value !== 'string') return undefined
    for (const other of Object.keys(merged))
      if (other.toLowerCase() === name.toLowerCase()) delete merged[other]
    merged[name] = value
  }
  return merged
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fail(error: Error): never {
  throw error
}
