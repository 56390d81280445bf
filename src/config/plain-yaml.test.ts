// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to variables are a part of what is read
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { locatePlainYaml, readPlainYaml } from './plain-yaml.ts'
import { LineIndex, type Wanted, type WantedNode, wantedTree } from './position.ts'
import type { PathSegment } from './problem.ts'
import { locateYaml } from './yaml-text.ts'

/** What the library makes of a text; undefined when it is not one document without mistakes. */
function byLibrary(text: string): unknown {
  const documents = parseAllDocuments(text, { merge: true })
  if (!Array.isArray(documents) || documents.length !== 1) return undefined
  return documents[0]!.errors.length > 0 || documents[0]!.warnings.length > 0
    ? undefined
    : documents[0]!.toJS()
}

suite('plain YAML', () => {
  test('covers what configurations are written in', (t) => {
    const text = [
      '# A comment',
      'gateway:',
      '  listeners: [{ name: http, port: 9080 }]',
      '  trusted_addresses: []',
      '',
      'routes:',
      '- id: 1',
      "  uri: '/a/*'",
      '  labels: {}',
      '  methods: [GET, "POST"]',
      '  # Inside',
      '  upstream:',
      '    nodes:',
      '      "127.0.0.1:80": 1',
      '      "[::1]:80": 0',
      '  plugins:',
      '    key-auth: {}',
      '    cors: { allow_origins: "*", max_age: -1 }',
      '- id: b',
      '  desc: a sentence, with: no mistake'.replace(': no', ' no'),
      '  uris:',
      '    - /x',
      '    - http://a:80/x?y={z}',
      '  nothing:',
      '  ratio: 2.5',
      '  host: 127.0.0.1',
      '  variable: $env://KEY',
      '  reference: ${{PORT:=80}}',
      '  name: in Ünïcode 日本',
      '#END',
      '',
    ].join('\n')
    const value = readPlainYaml(text)
    t.assert.notEqual(value, undefined)
    t.assert.deepEqual(value, byLibrary(text))
    t.assert.deepEqual(readPlainYaml(text.replaceAll('\n', '\r\n')), value)
  })

  test('leaves everything else to the library', (t) => {
    const texts = [
      ...['', '# nothing', '- a', 'a', '{a: 1}', '---\na: 1', 'a: 1\n---\nb: 2', 'a: 1\n...\n'],
      ...['a: &x 1\nb: *x', 'a: !!str 1', 'a: |\n  x', 'a: >-\n  x', 'a: "x\\n"', "a: 'it''s'", '<<: {a: 1}'],
      ...[
        'a: 1\na: 2',
        'a: {b: 1, b: 2}',
        'a: 1 # comment',
        'a: b: c',
        'a:b',
        'a: - b',
        'a:\n\t- b',
        'a: x\n  y',
      ],
      ...[
        'a: 007',
        'a: 0x1F',
        'a: 1e3',
        'a: .5',
        'a: +1',
        'a: -0',
        'a: .inf',
        'a: 1.',
        'a: 12345678901234567',
      ],
      ...[
        'a: [1,',
        'a: [1,]',
        'a: [,]',
        'a: {b}',
        'a: {b:1}',
        'a: [a b]',
        'a: {x: [1}',
        'a: [1] x',
        'a: [a: 1]',
      ],
      ...[
        'a:\n  b: 1\n c: 2',
        'a:\n - 1\n  - 2',
        '1: a',
        'true: a',
        'null: a',
        '? a\n: b',
        'a: ~',
        'a: @x',
        'a: %x',
      ],
      ...[
        'a: "x',
        "a: 'x",
        'a: x:',
        'a: "x" y',
        '__proto__: 1',
        'a: *',
        'a: b\u2028c',
        'a: - 1',
        '"a\\u0062": 1',
      ],
    ]
    for (const text of texts) t.assert.equal(readPlainYaml(text), undefined, JSON.stringify(text))
  })

  test('reads the golden configurations as the library does', (t) => {
    const golden = join(import.meta.dirname, '../../test/golden')
    const files = readdirSync(golden, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.yaml$/.test(file),
    )
    for (const file of files) {
      const text = readFileSync(join(golden, file), 'utf8')
      const value = readPlainYaml(text)
      if (value !== undefined) t.assert.deepEqual(value, byLibrary(text), file)
    }
  })

  test('accepts nothing that the library reads otherwise', (t) => {
    const random = generator(20_261_122)
    let accepted = 0
    for (let round = 0; round < 20_000; round++) {
      const text = lines(random)
      const value = readPlainYaml(text)
      if (value === undefined) continue
      accepted++
      t.assert.deepEqual(value, byLibrary(text), JSON.stringify(text))
    }
    t.assert.equal(accepted > 500, true, `only ${accepted} accepted`)
  })
})

const heads = ['a:', 'b:', '"c d":', '- ', '- a:', '- - ', 'key-auth:', '$x:', '-', '/p:', '', "'q':", '#']
const bodies = [
  ...[
    '',
    ' ',
    ' 1',
    ' -1',
    ' 1.5',
    ' 1.50',
    ' 0',
    ' 00',
    ' -0',
    ' x',
    ' x y',
    ' x:y',
    ' x: y',
    ' x :y',
    ' x#y',
    ' x #y',
  ],
  ...[
    ' null',
    ' True',
    ' ~',
    ' yes',
    ' "x"',
    " 'x'",
    ' "x" ',
    ' ""',
    ' []',
    ' {}',
    ' [a, b]',
    ' [ a ]',
    ' {a: 1}',
  ],
  ...[
    ' {a: {b: [1, "x"]}}',
    ' [a,b]',
    ' {a: }',
    ' {"a": 1}',
    ' {"a":1}',
    ' [[]]',
    ' [{}, []]',
    ' -x',
    ' - x',
    ' --',
  ],
  ...[
    ' 127.0.0.1',
    ' 10s',
    ' 1e3',
    ' 1_000',
    ' 0o7',
    ' 2026-11-22',
    ' /a/*',
    ' *',
    ' &a',
    ' !a',
    ' |',
    ' >',
    ' %',
    ' @',
  ],
  ...[
    ' a,b',
    ' a]',
    ' a}',
    ' a"b',
    " a'b",
    ' (x)',
    ' $x',
    ' ${{X:=1}}',
    ' x::y',
    ' :x',
    ' é',
    ' [é]',
    ' ?',
    ' ? x',
    ' ,',
  ],
]

/** Lines that are nearly YAML: heads and bodies at indentations that often fit. */
function lines(random: () => number): string {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!
  let indent = 0
  let text = ''
  const count = 1 + Math.floor(random() * 5)
  for (let line = 0; line < count; line++) {
    text += `${' '.repeat(indent)}${pick(heads)}${random() < 0.4 ? '' : pick(bodies)}\n`
    indent = Math.max(0, indent + pick([0, 0, 0, 2, 2, 1, -2, -1]))
  }
  return text
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

suite('places in plain YAML', () => {
  /** Every path of a value, and some that are not there. */
  function pathsIn(value: unknown, path: PathSegment[] = []): PathSegment[][] {
    const entries =
      typeof value !== 'object' || value === null
        ? []
        : Array.isArray(value)
          ? [...value.entries()]
          : Object.entries(value)
    return [path, [...path, 'missing', 3], ...entries.flatMap(([key, item]) => pathsIn(item, [...path, key]))]
  }

  function positions(
    text: string,
    wanted: readonly Wanted[],
    locate: (tree: WantedNode, found: (index: number, offset: number) => void) => void,
  ): string[] {
    const lines = new LineIndex(text)
    const found: string[] = []
    locate(wantedTree(wanted), (index, offset) => {
      const { line, column } = lines.position(offset)
      found[index] = `${line}:${column}`
    })
    return found
  }

  const root = new URL('../../', import.meta.url).pathname
  const files = ['examples', 'test/golden'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => join(root, folder, name)),
  )
  const texts = files
    .map((file) => [file.slice(root.length), readFileSync(file, 'utf8')] as const)
    .filter(([, text]) => readPlainYaml(text) !== undefined)

  for (const [name, text] of texts) {
    test(`are where the library finds them: ${name}`, (t) => {
      const wanted = pathsIn(readPlainYaml(text)).flatMap((path) => [
        { path, at: 'key' as const },
        { path, at: 'value' as const },
      ])
      const ours = positions(text, wanted, (tree, found) => void locatePlainYaml(text, tree, found))
      const theirs = positions(text, wanted, (tree, found) => locateYaml(text, 0, tree, found))
      const told = (list: string[]) =>
        list.map((place, index) => `${JSON.stringify(wanted[index]!.path)} ${wanted[index]!.at} ${place}`)
      t.assert.deepEqual(told(ours), told(theirs))
    })
  }

  test('and there are some', (t) => t.assert.ok(texts.length > 10))
})
