/** Operations on header fields as rewriting policies are told them: `{ add, set, remove }`, or a map of what to set. */
import { headerName, InvalidHeaderError } from '../../proxy/headers.ts'

const words = ['add', 'set', 'remove']

/** Without one of these words, a map sets the fields that it names. */
export function operationsOf<Operations extends { set?: object }>(
  headers: Readonly<Record<string, unknown>>,
): Operations {
  const structured = words.some((word) => typeof headers[word] === 'object')
  return (structured ? headers : { set: headers }) as Operations
}

/**
 * Why a policy cannot write fields of these names, in APISIX's words; undefined: it can.
 *
 * @param place the setting that has them
 * @param allowed reserved names, in lower case, that this policy may write all the same
 */
export function fieldNamesFinding(
  names: Iterable<string>,
  place = 'headers',
  allowed: readonly string[] = [],
): string | undefined {
  try {
    for (const name of names) {
      if (name === '') return 'invalid field length in header'
      const { isReserved, lower, text } = headerName(name)
      if (isReserved && !allowed.includes(lower)) return `${place}: ${text} is the gateway’s own to write`
    }
  } catch (error) {
    if (error instanceof InvalidHeaderError) return 'invalid field character in header'
    throw error
  }
  return undefined
}
