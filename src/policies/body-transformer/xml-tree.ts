import { XmlScanner } from '../kit/threats/index.ts'
import type { Value } from './values.ts'

const limits = {
  depth: 500,
  attributes: 1000,
  children: -1,
  textLength: -1,
  attributeLength: -1,
  commentLength: -1,
}

interface Element {
  /** Texts, by number from 1, children by name, and `_attr`. */
  readonly members: Map<string, Value[]>
  readonly texts: string[]
  readonly attributes: Record<string, string> | undefined
}

/**
 * A document as templates see it: elements by their names without prefixes, of one name in a list; an element of nothing
 * but text is that text, an empty one the empty text; attributes are in `_attr`, and the text beside them is number 1.
 * `problem` is the end of a sentence.
 */
export function readXml(bytes: string): { value: Value } | { problem: string } {
  const open: Element[] = [{ members: new Map(), texts: [], attributes: undefined }]
  const scanner = new XmlScanner(limits, {
    open(_, attributes) {
      const named = attributes.map(([name, value]) => [localName(name), inBytes(value)] as const)
      open.push({
        members: new Map(),
        texts: [],
        attributes: named.length === 0 ? undefined : Object.fromEntries(named),
      })
    },
    text(text) {
      const trimmed = text.trim()
      if (trimmed !== '') open.at(-1)!.texts.push(inBytes(trimmed))
    },
    close(name) {
      const value = elementValue(open.pop()!)
      const { members } = open.at(-1)!
      const local = localName(name)
      const before = members.get(local)
      if (before === undefined) members.set(local, [value])
      else before.push(value)
    },
  })
  const problem = scanner.write(bytes) ?? scanner.end()
  return problem === undefined ? { value: elementValue(open[0]!) } : { problem }
}

function elementValue({ members, texts, attributes }: Element): Value {
  if (members.size === 0 && attributes === undefined && texts.length <= 1) return texts[0] ?? ''
  const value: [string, Value][] = texts.map((text, index) => [String(index + 1), text])
  for (const [name, values] of members) value.push([name, values.length === 1 ? values[0] : values])
  if (attributes !== undefined) value.push(['_attr', attributes])
  return Object.fromEntries(value)
}

const localName = (name: string) => inBytes(name.slice(name.lastIndexOf(':') + 1))

const inBytes = (text: string) => Buffer.from(text).toString('latin1')
