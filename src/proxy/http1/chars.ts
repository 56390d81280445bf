/** Character classes of RFC 9110 and 9112 as tables, because head parsers look at every byte once. */

const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/** For a token character its lower-case code, else 0 (RFC 9110 5.6.2). */
export const tokenLower = new Uint8Array(256)
for (const char of tokenChars) tokenLower[char.charCodeAt(0)] = char.toLowerCase().charCodeAt(0)

/** 1 for bytes that a field value may hold: HTAB, SP, VCHAR, obs-text (RFC 9110 5.5). */
export const fieldValueByte = new Uint8Array(256)
for (let byte = 0x20; byte < 256; byte++) if (byte !== 0x7f) fieldValueByte[byte] = 1
fieldValueByte[0x09] = 1

/** For a hexadecimal digit its value, else 255. */
export const hexValue = new Uint8Array(256).fill(255)
for (const [i, digit] of [...'0123456789abcdef'].entries()) {
  hexValue[digit.charCodeAt(0)] = i
  hexValue[digit.toUpperCase().charCodeAt(0)] = i
}

export function isToken(text: string): boolean {
  if (text.length === 0) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 255 || tokenLower[code] === 0) return false
  }
  return true
}

export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 255 || fieldValueByte[code] === 0) return false
  }
  return true
}
