/** JSON as clients of APISIX send it. */
import { parseTolerantJson } from '../../config/tolerant-json.ts'

/** @throws SyntaxError with the words of APISIX's parser */
export function parseJsonBody(text: string): unknown {
  const parsed = parseTolerantJson(text)
  if ('error' in parsed) throw new SyntaxError(parsed.error)
  if (text.includes('__proto__') || text.includes('\\u')) refuseProto(parsed.value)
  return parsed.value
}

/** A key that would reach into the prototype of whatever copies the object. */
function refuseProto(root: unknown): void {
  if (typeof root !== 'object' || root === null) return
  if (Object.hasOwn(root, '__proto__')) throw new SyntaxError('the key `__proto__` is not allowed')
  for (const value of Object.values(root)) refuseProto(value)
}
