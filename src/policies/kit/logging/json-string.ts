/** Characters that must not stand in a JSON string as they are, and those that a terminal or an old reader acts on. */
const risky = /[\u0000-\u001f"\\\u007f-\u009f\u2028\u2029\ud800-\udfff]/
const notEscapedByJson = /[\u007f-\u009f\u2028\u2029]/g

/** The text as a JSON string. A line of a log stays one line, whatever a client sends. */
export function jsonString(text: string): string {
  return risky.test(text) ? escaped(text) : `"${text}"`
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    notEscapedByJson,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
