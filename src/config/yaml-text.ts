/** YAML 1.2 with APISIX's habits: several documents, merge keys, a closing `#END` (a comment). */
import { createRequire } from 'node:module'
import type { Document, Node } from 'yaml'
import type { WantedNode } from './position.ts'

export interface YamlProblem {
  code: 'syntax' | 'duplicate-key'
  offset: number
  message: string
}

export interface YamlScan {
  /** One value per document that is not empty. */
  values: unknown[]
  problems: YamlProblem[]
}

/** Expansions of aliases beyond this are refused: a few lines can otherwise grow to gigabytes. */
const maxAliasCount = 1000

export function readYaml(text: string): YamlScan {
  const scan: YamlScan = { values: [], problems: [] }
  for (const document of parseDocuments(text)) {
    for (const error of [...document.errors, ...document.warnings]) scan.problems.push(describe(error))
    if (document.errors.length > 0 || isEmpty(document)) continue
    try {
      scan.values.push(document.toJS({ maxAliasCount }))
    } catch {
      scan.problems.push({
        code: 'syntax',
        offset: document.contents?.range?.[0] ?? 0,
        message: `aliases are expanded more than ${maxAliasCount} times, or refer to what does not exist`,
      })
    }
  }
  return scan
}

/** A value as YAML that `readYaml` reads as the same value. */
export const writeYaml = (value: unknown): string => yaml().stringify(value, { aliasDuplicateObjects: false })

/** Calls `found` with the offset of every wanted key and value of one document, counted as in `readYaml`. */
export function locateYaml(
  text: string,
  documentIndex: number,
  wanted: WantedNode,
  found: (index: number, offset: number) => void,
): void {
  const document = parseDocuments(text).filter((candidate) => !isEmpty(candidate))[documentIndex]
  if (!document?.contents) return
  const start = document.contents.range?.[0] ?? 0
  for (const index of wanted.keys) found(index, start)
  locate(document, document.contents, wanted, start, found)
}

/** Nothing but comments, or a lone `null`. */
const isEmpty = ({ contents }: Document): boolean =>
  contents === null || (yaml().isScalar(contents) && contents.value === null)

function locate(
  document: Document,
  node: Node,
  wanted: WantedNode,
  offset: number,
  found: (index: number, offset: number) => void,
): void {
  for (const index of wanted.values) found(index, offset)
  if (wanted.children.size === 0) return
  const { isAlias, isMap, isNode, isScalar, isSeq } = yaml()
  const target = isAlias(node) ? node.resolve(document) : node
  for (const [segment, child] of wanted.children) {
    let key: unknown
    let value: unknown
    if (isSeq(target) && typeof segment === 'number') value = target.items[segment]
    else if (isMap(target)) {
      const pair = target.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(segment),
      )
      key = pair?.key
      value = pair?.value
    }
    // What is missing, or came in through a merge key, is reported at the nearest value around it.
    const valueAt = isNode(value) ? (value.range?.[0] ?? offset) : offset
    const keyAt = isNode(key) ? (key.range?.[0] ?? valueAt) : valueAt
    for (const index of child.keys) found(index, keyAt)
    locate(document, isNode(value) ? value : new (yaml().Scalar)(null), child, valueAt, found)
  }
}

function parseDocuments(text: string): Document[] {
  // The parser reads an environment variable for every token; on the real `process.env`, that is half of its time.
  const env = process.env
  process.env = {}
  try {
    const documents = yaml().parseAllDocuments(text, {
      merge: true,
      prettyErrors: false,
      uniqueKeys: true,
      keepSourceTokens: false,
    })
    return Array.isArray(documents) ? documents : []
  } finally {
    process.env = env
  }
}

/** Our own words for the parser's codes: its messages quote the text, which may be a secret. */
const messages: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias takes no properties',
  BAD_ALIAS: 'this is not the name of an anchor or alias',
  BAD_DIRECTIVE: 'this directive is not known',
  BAD_DQ_ESCAPE: 'this escape is not known in a double-quoted string',
  BAD_INDENT: 'the indentation does not fit what is around it',
  BAD_SCALAR_START: 'a value that starts with this character must be quoted',
  BLOCK_AS_IMPLICIT_KEY: 'a map or list begins inside a line; is a value with a colon not quoted?',
  BLOCK_IN_FLOW: 'a block map or list cannot stand inside brackets',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'a closing quote, a comma, a colon or the space after one is missing',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on a single line; is a colon missing?',
  MULTIPLE_ANCHORS: 'there is more than one anchor',
  MULTIPLE_TAGS: 'there is more than one tag',
  TAB_AS_INDENT: 'tabs are not allowed as indentation',
  TAG_RESOLVE_FAILED: 'tags of other types than those of JSON are not understood',
}

function describe(error: { code: string; pos: [number, number] }): YamlProblem {
  const offset = error.pos[0]
  if (error.code === 'DUPLICATE_KEY') {
    return { code: 'duplicate-key', offset, message: 'this key was already given in the same map' }
  }
  return { code: 'syntax', offset, message: messages[error.code] ?? 'this is not expected here' }
}

/** Loaded on first use: a configuration in JSON does without. */
let library: typeof import('yaml') | undefined
function yaml(): typeof import('yaml') {
  library ??= createRequire(import.meta.url)('yaml') as typeof import('yaml')
  return library
}
