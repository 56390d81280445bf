/** CRC-32 as of zlib and nginx (polynomial 0xedb88320), over strings of one character a byte. */

const table = new Int32Array(256).map((_, index) => {
  let remainder = index
  for (let bit = 0; bit < 8; bit++)
    remainder = (remainder & 1) === 0 ? remainder >>> 1 : (remainder >>> 1) ^ 0xedb88320
  return remainder
})

/** The register before its last inversion, so that more bytes can follow. */
export function crc32Begin(text: string): number {
  let register = -1
  for (let i = 0; i < text.length; i++)
    register = table[(register ^ text.charCodeAt(i)) & 0xff]! ^ (register >>> 8)
  return register
}

/** Ends with the four bytes of a word, the lowest first. @returns an unsigned number */
export function crc32EndWithWord(register: number, word: number): number {
  let result = register
  for (let shift = 0; shift < 32; shift += 8)
    result = table[(result ^ (word >>> shift)) & 0xff]! ^ (result >>> 8)
  return ~result >>> 0
}

/** @returns an unsigned number */
export function crc32(text: string): number {
  return ~crc32Begin(text) >>> 0
}
