/** JSON as clients of APISIX send it: its parser lets control characters stand unescaped inside of strings. */

/** As deep as APISIX's parser goes. */
const deepest = 1000

/** @throws SyntaxError */
export function parseJsonBody(text: string): unknown {
  const value = parse(text)
  inspect(value)
  return value
}

function parse(text: string): unknown {
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

/** Refuses what would be unsafe to walk or to copy: too many levels, and keys that reach into the prototype. */
function inspect(root: unknown): void {
  let level = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) throw new SyntaxError(`it has more than ${deepest} levels`)
    const next: unknown[] = []
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue
      if (Object.hasOwn(value, '__proto__')) throw new SyntaxError('the key `__proto__` is not allowed')
      for (const item of Object.values(value)) if (typeof item === 'object' && item !== null) next.push(item)
    }
    level = next
  }
}
