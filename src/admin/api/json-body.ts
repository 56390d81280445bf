/** JSON as clients of APISIX send it: its parser lets control characters stand unescaped inside of strings. */

/** @throws SyntaxError */
export function parseJsonBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const escaped = escapeControls(text)
    if (escaped === text) throw error
    return JSON.parse(escaped)
  }
}

const stringOrRest = /"(?:[^"\\]|\\[\s\S])*"|[^"]+|"/g

function escapeControls(text: string): string {
  return text.replace(stringOrRest, (part) => {
    if (!part.startsWith('"')) return part
    return part.replace(/[\x00-\x1f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  })
}
