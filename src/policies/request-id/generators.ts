import { getRandomValues, randomBytes, randomInt, randomUUID } from 'node:crypto'

export interface Range {
  readonly length: number
  readonly char_set: string
}

/** @param now epoch milliseconds */
export function generatorOf(algorithm: string, range: Range, now: () => number): () => string {
  switch (algorithm) {
    case 'nanoid':
      return nanoid
    case 'range_id':
      return () => rangeId(range)
    case 'ksuid':
      return () => ksuid(now())
    case 'uuidv7':
      return () => uuidv7(now())
    default:
      return randomUUID
  }
}

const urlAlphabet = '-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** https://github.com/ai/nanoid: 21 characters with 6 random bits each. */
function nanoid(): string {
  let id = ''
  for (const byte of getRandomValues(new Uint8Array(21))) id += urlAlphabet[byte & 63]
  return id
}

function rangeId({ length, char_set: set }: Range): string {
  let id = ''
  for (let i = 0; i < length; i++) id += set[randomInt(set.length)]
  return id
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Seconds at which the time of these ids begins. */
const ksuidEpoch = 1_400_000_000

/** https://github.com/segmentio/ksuid: 4 bytes of seconds and 16 random bytes, as 27 digits to the base 62. */
function ksuid(now: number): string {
  const bytes = randomBytes(20)
  bytes.writeUInt32BE((Math.floor(now / 1000) - ksuidEpoch) >>> 0)
  let number = BigInt(`0x${bytes.toString('hex')}`)
  let id = ''
  for (let i = 0; i < 27; i++) {
    id = base62[Number(number % 62n)] + id
    number /= 62n
  }
  return id
}

/** RFC 9562 5.7. */
function uuidv7(now: number): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
