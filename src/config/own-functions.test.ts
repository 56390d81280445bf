import assert from 'node:assert/strict'
import { afterEach, suite, test } from 'node:test'
import type { SourceDocument } from './load.ts'
import { knownFunctions, resolveEntry, setKnownFunctions } from './own-functions.ts'

const before = knownFunctions()
afterEach(() => setKnownFunctions(before))

const document = (mayNameCode?: true): SourceDocument => ({
  file: 'etc/sluice.yaml',
  value: {},
  locate: (wanted) => wanted.map(() => undefined),
  ...(mayNameCode && { mayNameCode }),
})
const modules = new Map([
  ['/srv/etc/functions/a.ts', { functions: ['default', 'other'] }],
  ['/srv/permitted/b.ts', { functions: ['other'] }],
  ['/srv/permitted/deep/c.js', { functions: ['default'] }],
  ['/elsewhere/d.ts', { functions: ['default'] }],
])
const known = { cwd: '/srv', modules, broken: new Set<string>() }
const outcome = (entry: string, from: SourceDocument) => {
  const result = resolveEntry(from, entry)
  return 'key' in result ? result.key : `${result.code}: ${result.message}`
}

suite('an entry of a file', () => {
  const inFile = (entry: string) => {
    setKnownFunctions(known)
    return outcome(entry, document(true))
  }

  test('is relative to the file, or absolute', () => {
    assert.equal(inFile('./functions/a.ts'), '/srv/etc/functions/a.ts')
    assert.equal(inFile('functions/a.ts#other'), '/srv/etc/functions/a.ts#other')
    assert.equal(inFile('functions/a.ts#default'), '/srv/etc/functions/a.ts')
    assert.equal(inFile('/elsewhere/d.ts'), '/elsewhere/d.ts')
  })

  test('has to be there', () => {
    assert.equal(inFile('./b.ts'), 'unknown-function: there is no module ./b.ts')
    assert.equal(inFile('functions/a.ts#none'), 'unknown-function: functions/a.ts exports no function none')
    assert.equal(
      inFile('../permitted/b.ts'),
      'unknown-function: ../permitted/b.ts has no default export that is a function',
    )
  })

  test('is no Lua', () => {
    for (const lua of ['return function() end', 'a', 'local x = 1\nreturn "a.ts"', 'f("a.ts")'])
      assert.match(inFile(lua), /^unsupported-value: .*Lua does not run/)
  })
})

suite('an entry that came through the Admin API', () => {
  const held = document()

  test('is none unless a folder is permitted, whatever files name', () => {
    setKnownFunctions(known)
    for (const entry of ['/srv/etc/functions/a.ts', 'b.ts#other', './functions/a.ts'])
      assert.match(outcome(entry, held), /^unknown-function: .*gateway.functions.folder is not set/)
  })

  test('is one of that folder', () => {
    setKnownFunctions({ ...known, folder: '/srv/permitted' })
    assert.equal(outcome('b.ts#other', held), 'b.ts#other')
    assert.equal(outcome('./deep/c.js', held), 'deep/c.js')
  })

  const outside = [
    '/srv/permitted/b.ts#other',
    '/elsewhere/d.ts',
    '../etc/functions/a.ts',
    'deep/../../etc/functions/a.ts',
    '../permitted/b.ts#other',
    'file:///elsewhere/d.ts',
    'data:text/javascript,export default 1//x.js',
    'https://example.com/a.js',
    '$env://HOME/a.ts',
  ]
  for (const entry of outside) {
    test(`is not ${entry}`, () => {
      setKnownFunctions({ ...known, folder: '/srv/permitted' })
      assert.match(outcome(entry, held), /^(unknown-function: there is no module|unsupported-value)/)
    })
  }
})

test('the hint for Lua holds the function of the phase, and what its calls are called', () => {
  const lua = 'return function(conf, ctx) core.request.set_header(ctx, "a", "b") return 403, "no" end'
  const hintOf = (phase?: string) => {
    const result = resolveEntry(document(true), lua, phase)
    return 'hint' in result ? result.hint : ''
  }
  assert.match(hintOf(), /satisfies RequestFunction/)
  assert.match(hintOf(), /headers\.set\(NAME, VALUE\); return \{ status, body \}/)
  assert.match(hintOf('log'), /satisfies LogFunction/)
  assert.match(hintOf('body_filter'), /satisfies BodyFunction/)
})
