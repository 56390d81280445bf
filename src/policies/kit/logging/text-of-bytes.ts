/** What came off the wire has one character a byte: the text that its bytes are in UTF-8. */
export function textOfBytes(bytes: string): string {
  return /[\x80-\xff]/.test(bytes) ? Buffer.from(bytes, 'latin1').toString() : bytes
}
