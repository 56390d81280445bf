/** A room knows only its neighbours: the rules of docs/architecture.md, held. */
import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { suite, test } from 'node:test'
import { files, read } from './repository.ts'

/**
 * What a room may import from: rooms, or single files of one. `types:` in front means that nothing of it may be left at
 * run time.
 */
const neighbours: Readonly<Record<string, readonly string[]>> = {
  config: [],
  telemetry: ['types:config'],
  proxy: ['config', 'telemetry'],
  secrets: ['config', 'types:telemetry'],
  admin: ['config', 'telemetry', 'proxy'],
  'policies/kit': [
    'types:proxy',
    'types:config',
    'config/type.ts',
    'config/cache-zones.ts',
    // Policies can have addresses of their own watched, with the settings of any upstream.
    'config/health-checks.ts',
    'config/schema.ts',
    'config/resources.ts',
    'config/policy-upstreams.ts',
    'proxy/graphql.ts',
    // How large GraphQL may be, in queries too.
    'proxy/held-body.ts',
    'proxy/headers.ts',
    'proxy/forwarded-target.ts',
    'config/regular-expression.ts',
    'config/expression.ts',
    'config/tolerant-json.ts',
    'config/json-path.ts',
    'config/addresses.ts',
    // Messages of gRPC, as descriptor sets are read.
    'config/proto/definitions.ts',
    'config/proto/wire-reader.ts',
    'config/proto/proto-content.ts',
    'config/prometheus-settings.ts',
    'config/apisix-wording.ts',
    'proxy/addresses.ts',
    // What policies that trace see of others.
    'proxy/timeline.ts',
    'proxy/expression.ts',
    'proxy/json-path.ts',
    'proxy/upstream/balancers/weights.ts',
    // What a policy spreads by a hash goes where an upstream would send it.
    'proxy/upstream/balancers/crc32.ts',
    'proxy/upstream/balancers/hash-ring.ts',
    'proxy/upstream/hash-key.ts',
    'proxy/shared/circuits.ts',
    'proxy/shared/records.ts',
    'proxy/shared/turn-counters.ts',
  ],
  'policies/<name>': ['policies/kit'],
  'policies/index.ts': ['policies/kit', 'policies/<name>', 'config/lazy-map.ts'],
  'config-sync': ['config', 'types:telemetry', 'config-sync/protocol'],
  // What both sides of the connection share; a control plane has no need of the rest.
  'config-sync/protocol': ['config'],
  'control-plane': [
    'config',
    'config-sync/protocol',
    'config-sync/runtime-configuration.ts',
    'types:telemetry',
    'admin',
  ],
  cli: [
    'config',
    'config-sync',
    'config-sync/protocol',
    'control-plane',
    'telemetry',
    'proxy',
    'secrets',
    'admin',
    'policies/kit',
    'policies/index.ts',
    'src',
  ],
  // The files at the top of src/ put the rooms together.
  src: [
    'config',
    'config-sync',
    'config-sync/protocol',
    'control-plane',
    'telemetry',
    'proxy',
    'secrets',
    'admin',
    'policies/kit',
    'policies/index.ts',
    'cli',
  ],
}

interface Import {
  file: string
  line: number
  /** As written: `../config/plan.ts`, `node:net`, `pino`. */
  specifier: string
  /** Erased by the compiler. */
  typeOnly: boolean
}

const sources = files.filter((file) => /^src\/.*\.ts$/.test(file))
const imports = sources.flatMap(importsOf)

suite('the rooms of src/', () => {
  for (const room of Object.keys(neighbours)) {
    test(`${room} imports only from its neighbours`, () => {
      const strangers = imports
        .filter((found) => isRelative(found) && roomOf(found.file) === room && !isTest(found.file))
        .filter((found) => !isAllowed(found))
      assert.deepEqual(strangers.map(describe), [])
    })
  }

  test('every file stands in a room that has rules', () => {
    assert.deepEqual(
      sources.filter((file) => neighbours[roomOf(file)] === undefined),
      [],
    )
  })

  test('the tests of a policy need nothing but the kit', () => {
    const strangers = imports
      .filter((found) => isRelative(found) && isTest(found.file) && roomOf(found.file) === 'policies/<name>')
      .filter((found) => !isAllowed(found))
    assert.deepEqual(strangers.map(describe), [])
  })

  test('no policy knows another', () => {
    const others = imports.filter((found) => {
      if (roomOf(found.file) !== 'policies/<name>' || !isRelative(found)) return false
      const target = targetOf(found)
      return roomOf(target) === 'policies/<name>' && posix.dirname(target) !== posix.dirname(found.file)
    })
    assert.deepEqual(others.map(describe), [])
  })

  test('nothing in src/ imports from outside of it', () => {
    const outside = imports.filter(
      (found) => isRelative(found) && !targetOf(found).startsWith('src/') && !isTest(found.file),
    )
    assert.deepEqual(outside.map(describe), [])
  })
})

suite('packages', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const packaged = imports.filter((found) => !isRelative(found) && !found.specifier.startsWith('node:'))

  test('the gateway imports only what package.json lists in dependencies', () => {
    const unlisted = packaged.filter((found) => !isTest(found.file) && !(packageName(found) in dependencies))
    assert.deepEqual(unlisted.map(describe), [])
  })

  test('what package.json lists in dependencies is imported', () => {
    const used = new Set(packaged.filter((found) => !isTest(found.file)).map(packageName))
    assert.deepEqual(
      Object.keys(dependencies).filter((name) => !used.has(name)),
      [],
    )
  })

  test('built-in modules carry their node: prefix', async () => {
    const { builtinModules } = await import('node:module')
    const bare = packaged.filter((found) => builtinModules.includes(found.specifier))
    assert.deepEqual(bare.map(describe), [])
  })
})

test('the reader of import lines sees every form', () => {
  const text = [
    "import a from './a.ts'",
    "import type { B } from './b.ts'",
    "import { type C, type D } from './c.ts'",
    "import { type E, f } from './e.ts'",
    'import {\n  g,\n  type H,\n} from "./g.ts"',
    "export * from './i.ts'",
    "export type { J } from './j.ts'",
    "import './k.ts'",
    "const l = await import('./l.ts')",
    "type M = typeof import('./m.ts')",
    "const url = new URL('./n.ts', import.meta.url)",
    "// import o from './o.ts'",
  ].join('\n')
  assert.deepEqual(
    scan('src/x.ts', text).map(({ specifier, typeOnly, line }) => [specifier, typeOnly, line]),
    [
      ['./a.ts', false, 1],
      ['./b.ts', true, 2],
      ['./c.ts', true, 3],
      ['./e.ts', false, 4],
      ['./g.ts', false, 5],
      ['./i.ts', false, 9],
      ['./j.ts', true, 10],
      ['./k.ts', false, 11],
      ['./l.ts', false, 12],
      ['./m.ts', true, 13],
    ],
  )
})

function importsOf(file: string): Import[] {
  return scan(file, read(file))
}

function scan(file: string, text: string): Import[] {
  const statement =
    /^(?:import|export)\s+(?<type>type\s+)?(?<names>[^'"`;]*?)\s*from\s*['"](?<from>[^'"]+)['"]|^import\s*['"](?<bare>[^'"]+)['"]|(?<!\/\/.*)(?<query>typeof\s+)?\bimport\(\s*['"](?<dynamic>[^'"]+)['"]/gm
  const found = [...text.matchAll(statement)].map((match) => {
    const { type, names, from, bare, query, dynamic } = match.groups!
    return {
      file,
      line: text.slice(0, match.index).split('\n').length,
      specifier: from ?? bare ?? dynamic!,
      typeOnly: type !== undefined || query !== undefined || (names !== undefined && onlyTypes(names)),
    }
  })
  // A placeholder: code that is written into a template, not an import of this file.
  return found.filter(({ specifier }) => !specifier.includes('$'))
}

/** `{ type A, type B }`, which verbatimModuleSyntax would keep as an import for its side effects alone. */
function onlyTypes(names: string): boolean {
  const inner = /^\{(.*)\}$/s.exec(names.trim())?.[1]
  if (inner === undefined) return false
  const parts = inner
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
  return parts.length > 0 && parts.every((part) => part.startsWith('type '))
}

function isRelative(found: Import): boolean {
  return found.specifier.startsWith('.')
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts')
}

function targetOf(found: Import): string {
  return posix.join(posix.dirname(found.file), found.specifier)
}

function roomOf(file: string): string {
  const [, first, second, third] = file.split('/')
  if (second === undefined) return 'src'
  if (first === 'config-sync' && second === 'protocol') return 'config-sync/protocol'
  if (first !== 'policies') return first!
  if (third === undefined) return 'policies/index.ts'
  return second === 'kit' ? 'policies/kit' : 'policies/<name>'
}

function isAllowed(found: Import): boolean {
  const from = roomOf(found.file)
  const target = targetOf(found)
  const to = roomOf(target)
  if (from === to) return true
  const allowed = neighbours[from] ?? []
  if (allowed.includes(to) || allowed.includes(target.replace('src/', ''))) return true
  return found.typeOnly && allowed.includes(`types:${to}`)
}

function packageName(found: Import): string {
  const parts = found.specifier.split('/')
  return found.specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!
}

function describe(found: Import): string {
  return `${found.file}:${found.line} imports ${found.specifier}`
}
