/** Bodies as values, by their format. */
import { parseTolerantJson, readPairs } from '../kit/index.ts'
import { inBytes } from './bytes.ts'
import { readMultipart } from './multipart.ts'
import type { Multipart, Value, ValueMap } from './values.ts'
import { readXml } from './xml-tree.ts'

export type Format = 'xml' | 'json' | 'encoded' | 'args' | 'plain' | 'multipart'

export type Decoded =
  | { readonly context: ValueMap; readonly multipart?: Multipart }
  | { readonly problem: string }

/** As many as nginx reads. */
const mostPairs = 100

/** By a Content-Type; undefined: the body is not looked into. */
export function formatOf(contentType: string | undefined): Format | undefined {
  if (contentType === undefined) return undefined
  const type = contentType.toLowerCase()
  if (type.includes('text/xml')) return 'xml'
  if (type.includes('application/json')) return 'json'
  if (type.includes('application/x-www-form-urlencoded')) return 'encoded'
  return type.includes('multipart/') ? 'multipart' : undefined
}

/** @param body one character a byte */
export function decodeBody(format: Format, body: string, query: string, contentType: string): Decoded {
  switch (format) {
    case 'args':
      return { context: readPairs(query, mostPairs) }
    case 'encoded':
      return { context: readPairs(body, mostPairs) }
    case 'multipart': {
      const { parts, values } = readMultipart(body, contentType)
      return { context: values, multipart: parts }
    }
    case 'xml': {
      const read = readXml(body)
      return 'problem' in read ? { problem: `Error Parsing XML: ${read.problem}` } : contextOf(read.value)
    }
    case 'json': {
      const read = parseTolerantJson(Buffer.from(body, 'latin1').toString())
      return 'error' in read ? { problem: read.error } : contextOf(inBytes(read.value))
    }
    default:
      return { context: {} }
  }
}

function contextOf(value: Value): Decoded {
  if (Array.isArray(value)) {
    return { context: Object.fromEntries(value.map((item, index) => [String(index + 1), item])) }
  }
  if (typeof value !== 'object' || value === null) return { problem: 'it is no object' }
  return { context: value as ValueMap }
}
