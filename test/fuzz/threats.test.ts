/** The scanners of the threat protection policies beside readers of others, over what chance puts together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SaxesParser } from 'saxes'
import { JsonScanner, XmlScanner } from '../../src/policies/kit/threats/index.ts'
import { Random } from './random.ts'

const rounds = 30_000

const jsonLimits = {
  depth: -1,
  entries: -1,
  nameLength: -1,
  elements: -1,
  stringLength: -1,
  allowsEqualNames: true,
}
const xmlLimits = {
  depth: -1,
  attributes: -1,
  children: -1,
  textLength: -1,
  attributeLength: -1,
  commentLength: -1,
}

const jsonParts =
  '{ } [ ] , : " "a" "\\u0061" \\ \\n \\u d800 1 0 - . e E + true false null nul é 😀 "é" \ufeff \0'
    .split(' ')
    .concat(' ', '\n', '\x01')
const xmlParts = (
  '<a> </a> <b·x="1"> <b/> </b> < > / " \' &lt; &#65; &#x41; &#0; & &foo; ; <!-- --> -- - <![CDATA[ ]]> ]] ] ' +
  '<?a·b?> ?> ? <?xml·version="1.0"?> <?xml·version="1.0"·encoding="UTF-8"?> xml x = ·y=\'2\' é \u{10ffff} \ufffe a 1 . : 😀 \x85'
)
  .split(' ')
  .map((part) => part.replaceAll('·', ' '))
  .concat(' ', '\n', '\r', '\r\n', '\0', '\x01')

test('JSON is taken exactly where JSON.parse takes it', () => {
  for (let seed = 0; seed < rounds; seed++) {
    const random = new Random(seed)
    const bytes = damaged(latin1(joined(jsonParts, random)), random)
    const expected = parses(() => JSON.parse(utf8(bytes)))
    assert.equal(
      isTaken(new JsonScanner(jsonLimits), bytes, random),
      expected,
      `seed ${seed}: ${JSON.stringify(bytes)}`,
    )
  }
})

test('XML is taken exactly where saxes takes it', () => {
  for (let seed = 0; seed < rounds; seed++) {
    const random = new Random(seed)
    const parts = joined(xmlParts, random)
    const bytes = damaged(latin1(random.once(2) ? `<a>${parts}</a>` : parts), random)
    const expected = parses(() => readXml(utf8(bytes)))
    assert.equal(
      isTaken(new XmlScanner(xmlLimits), bytes, random),
      expected,
      `seed ${seed}: ${JSON.stringify(bytes)}`,
    )
  }
})

test('names are equal where JSON.parse makes one entry of them', () => {
  const names = [
    'a',
    '\\u0061',
    'é',
    '\\u00e9',
    '\\/',
    '/',
    '\\n',
    '\\u000A',
    '\\ud83d\\ude00',
    '😀',
    '__proto__',
    '',
  ]
  for (let seed = 0; seed < rounds; seed++) {
    const random = new Random(seed)
    const entries = Array.from({ length: 1 + random.below(4) }, () => `"${random.pick(names)}":0`)
    const text = `{${entries.join(',')}}`
    const isDistinct = Object.keys(JSON.parse(text) as object).length === entries.length
    const scanner = new JsonScanner({ ...jsonLimits, allowsEqualNames: false })
    assert.equal(isTaken(scanner, latin1(text), random), isDistinct, text)
  }
})

test('what a receiver of XML gets is what saxes reads', () => {
  for (let seed = 0; seed < rounds; seed++) {
    const random = new Random(seed)
    const text = `<a>${joined(xmlParts, random)}</a>`
    const expected = attempt(() => readXml(text))
    if (expected === undefined) continue
    const got: string[] = []
    const scanner = new XmlScanner(xmlLimits, {
      open: (name, attributes) => got.push(`<${name} ${JSON.stringify(attributes)}`),
      text: (content) => got.push(content),
      close: (name) => got.push(`</${name}`),
    })
    isTaken(scanner, latin1(text), random)
    assert.deepEqual(got, expected, JSON.stringify(text))
  }
})

const latin1 = (text: string) => Buffer.from(text).toString('latin1')

/** @throws TypeError when the bytes are not UTF-8 */
const utf8 = (bytes: string) =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'))

function joined(parts: readonly string[], random: Random): string {
  return Array.from({ length: 1 + random.below(8) }, () => random.pick(parts)).join('')
}

/** With, now and then, another byte somewhere. */
function damaged(bytes: string, random: Random): string {
  if (!random.once(20)) return bytes
  const at = random.below(bytes.length)
  return bytes.slice(0, at) + String.fromCharCode(random.below(256)) + bytes.slice(at + 1)
}

/** Shown in pieces of every size. */
function isTaken(scanner: JsonScanner | XmlScanner, bytes: string, random: Random): boolean {
  for (let at = 0; at < bytes.length; ) {
    const next = at + 1 + random.below(7)
    scanner.write(bytes.slice(at, next))
    at = next
  }
  return scanner.end() === undefined
}

const parses = (read: () => unknown) => attempt(() => ({ read: read() })) !== undefined

function attempt<Result>(read: () => Result): Result | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function readXml(text: string): string[] {
  const events: string[] = []
  let content = ''
  const passText = () => {
    if (content !== '') events.push(content)
    content = ''
  }
  // It lets a target end at a question mark that ends nothing, against the grammar.
  if (/<\?[^\s?]+\?(?!>)/.test(text)) throw new Error('an instruction has no target')
  const parser = new SaxesParser()
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', ({ name, attributes }) => {
    passText()
    events.push(`<${name} ${JSON.stringify(Object.entries(attributes))}`)
  })
  parser.on('text', (piece) => {
    if (events.length > 0) content += piece
  })
  parser.on('cdata', (piece) => {
    content += piece
  })
  parser.on('closetag', ({ name }) => {
    passText()
    events.push(`</${name}`)
  })
  parser.write(text).close()
  return events
}
