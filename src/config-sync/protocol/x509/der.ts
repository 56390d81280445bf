/** DER (X.690), as much of it as certificates and requests for them take. */

export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** A value with its tag and length in front. */
export function der(tagByte: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tagByte]), lengthOf(content.length), content])
}

export const sequence = (...items: Uint8Array[]) => der(tag.sequence, ...items)
export const set = (...items: Uint8Array[]) => der(tag.set, ...items)
export const octetString = (content: Uint8Array) => der(tag.octetString, content)
export const utf8String = (text: string) => der(tag.utf8String, Buffer.from(text))
export const yes = der(tag.boolean, Buffer.from([0xff]))

/** `[number]`, around other values. */
export const explicit = (number: number, ...items: Uint8Array[]) => der(0xa0 + number, ...items)

/** `[number]`, in place of the tag of a value that is not made of others. */
export const implicit = (number: number, content: Uint8Array) => der(0x80 + number, content)

/** @param unusedBits of the last byte */
export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return der(tag.bitString, Buffer.from([unusedBits]), content)
}

/** A number that is not negative, of any length. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  const sign = (digits[0] ?? 0) >= 0x80 || digits.length === 0 ? [0] : []
  return der(tag.integer, Buffer.from(sign), digits)
}

/** @param dotted `1.2.840.10045.4.3.2` */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(tag.objectId, Buffer.from(bytes))
}

/** Two digits of the year up to 2049, four from then on (RFC 5280, section 4.1.2.5). */
export function time(instant: Date): Buffer {
  const digits = instant.toISOString().replace(/[-:T]|\.\d{3}/g, '')
  const isShort = instant.getUTCFullYear() < 2050
  return der(isShort ? tag.utcTime : tag.generalizedTime, Buffer.from(isShort ? digits.slice(2) : digits))
}

/** One value of a text in DER. */
export interface DerValue {
  tag: number
  content: Buffer
  /** With its tag and length. */
  whole: Buffer
}

export class DerError extends Error {
  override readonly name = 'DerError'
}

/** Everything in it, value after value. @throws DerError */
export function readValues(bytes: Buffer): DerValue[] {
  const values: DerValue[] = []
  for (let at = 0; at < bytes.length; ) {
    const value = readValue(bytes, at)
    values.push(value)
    at += value.whole.length
  }
  return values
}

function readValue(bytes: Buffer, at: number): DerValue {
  const tagByte = bytes[at]
  const first = bytes[at + 1]
  if (tagByte === undefined || first === undefined) throw new DerError('it ends within a value')
  if ((tagByte & 0x1f) === 0x1f) throw new DerError('it has a tag that no certificate has')
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || lengthBytes > 3) throw new DerError('it has a length that DER does not allow')
  let length = lengthBytes === 0 ? first : 0
  for (let index = 0; index < lengthBytes; index++) length = length * 256 + (bytes[at + 2 + index] ?? 0)
  const start = at + 2 + lengthBytes
  const end = start + length
  if (end > bytes.length) throw new DerError('it ends within a value')
  return { tag: tagByte, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) }
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}
