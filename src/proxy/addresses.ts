/** Sets of IP addresses and CIDR blocks that are asked about every request. */
import { isIPv6 } from 'node:net'
import { parseBlock } from '../config/addresses.ts'

export class AddressSet {
  readonly #exact = new Set<number>()
  readonly #blocks: { mask: number; network: Set<number> }[] = []
  readonly #blocks6: { bits: number; words: Int32Array }[] = []

  /** @param entries addresses and CIDR blocks that were checked; an address that maps IPv4 into IPv6 is IPv6 */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const block = parseBlock(entry)
      if (block === undefined) throw new RangeError('not an address or CIDR block')
      const { address, family, bits } = block
      if (family === 6) this.#blocks6.push({ bits, words: readIPv6(address).slice() })
      else if (bits === 32) this.#exact.add(readIPv4(address))
      else this.#addBlock(readIPv4(address), bits === 0 ? 0 : -1 << (32 - bits))
    }
  }

  has(address: string): boolean {
    const number = readIPv4(address)
    return number === NOT_AN_ADDRESS ? this.#has6(address) : this.#has4(number)
  }

  #addBlock(number: number, mask: number): void {
    let block = this.#blocks.find((known) => known.mask === mask)
    if (block === undefined) {
      block = { mask, network: new Set() }
      this.#blocks.push(block)
    }
    block.network.add(number & mask)
  }

  #has4(number: number): boolean {
    if (this.#exact.has(number)) return true
    for (const { mask, network } of this.#blocks) if (network.has(number & mask)) return true
    return false
  }

  #has6(text: string): boolean {
    if (this.#blocks6.length === 0) return false
    const address = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
    if (!isIPv6(address)) return false
    const words = readIPv6(address)
    for (const { bits, words: network } of this.#blocks6) if (samePrefix(words, network, bits)) return true
    return false
  }
}

/** Beyond every 32-bit integer. */
const NOT_AN_ADDRESS = 2 ** 32

/** Dotted decimal as a signed integer of 32 bits. */
export function readIPv4(text: string): number {
  if (text.length > 15) return NOT_AN_ADDRESS
  let number = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x30 && code <= 0x39) {
      // A leading zero would be octal to some (RFC 6943 section 3.1.1).
      if (digits > 0 && part === 0) return NOT_AN_ADDRESS
      part = part * 10 + code - 0x30
      digits++
      if (part > 255) return NOT_AN_ADDRESS
    } else if (code === 0x2e && digits > 0 && dots < 3) {
      number = (number << 8) | part
      dots++
      part = digits = 0
    } else return NOT_AN_ADDRESS
  }
  return dots === 3 && digits > 0 ? (number << 8) | part : NOT_AN_ADDRESS
}

/** Reused: filled again by the next call. */
const words = new Int32Array(4)

/** A valid IPv6 address, without zone, as four integers. */
export function readIPv6(address: string): Int32Array {
  const dotted = address.lastIndexOf(':') + 1
  const tail = address.includes('.') ? readIPv4(address.slice(dotted)) : 0
  const hex = address.includes('.')
    ? `${address.slice(0, dotted)}${((tail >>> 16) & 0xffff).toString(16)}:${(tail & 0xffff).toString(16)}`
    : address
  const [front = '', back] = hex.split('::')
  const left = front === '' ? [] : front.split(':')
  const right = back === undefined || back === '' ? [] : back.split(':')
  words.fill(0)
  const place = (group: string, at: number) => {
    words[at >> 1]! |= Number.parseInt(group, 16) << (at % 2 === 0 ? 16 : 0)
  }
  left.forEach(place)
  right.forEach((group, i) => {
    place(group, 8 - right.length + i)
  })
  return words
}

function samePrefix(a: Int32Array, b: Int32Array, bits: number): boolean {
  for (let word = 0, left = bits; left > 0; word++, left -= 32) {
    const mask = left >= 32 ? -1 : -1 << (32 - left)
    if (((a[word]! ^ b[word]!) & mask) !== 0) return false
  }
  return true
}
