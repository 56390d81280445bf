/** Each attack of the threat model names tests that there are. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { files, read } from './repository.ts'

const page = read('docs/threat-model.md')
const suites = files.filter((file) => /\.test\.ts$/.test(file))

/** Cells of the rows of a table, by the first column of its head. */
function rowsOf(head: string): string[][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`))
  assert.ok(start > 0, `there is no table of ${head}`)
  const rows: string[][] = []
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith('|')) break
    rows.push(line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')))
  }
  return rows
}

const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)

/** Titles may be put together: `was ${what}`. What stands in the file, as it is quoted, is enough. */
const isTitled = (name: string, where: readonly string[]) =>
  where.some((file) =>
    read(file)
      .split('\n')
      .some((line) => line.includes(name) && /['`"]/.test(line.slice(0, line.indexOf(name)))),
  )

suite('the threat model', () => {
  const connected = suites.filter((file) => file.startsWith('test/connected/'))

  for (const [attacker = '', ...cells] of rowsOf('an attacker with')) {
    const tests = named(cells.at(-1) ?? '')
    if (tests.length === 0) continue
    test(`is tested against an attacker with ${attacker}`, () => {
      const missing = tests.filter((name) => !isTitled(name, connected))
      assert.deepEqual(missing, [])
    })
  }

  for (const [attack = '', ...cells] of rowsOf('attack')) {
    test(`is tested where ${attack}`, () => {
      const names = named(cells.at(-1) ?? '')
      assert.ok(names.length > 0, 'it names no test')
      const places = names.filter((name) => name.endsWith('.test.ts'))
      assert.deepEqual(
        places.filter((file) => !suites.includes(file)),
        [],
      )
      const titles = names.filter((name) => !name.endsWith('.test.ts') && name !== 'fleet')
      assert.deepEqual(
        titles.filter((title) => !isTitled(title, places)),
        [],
      )
    })
  }
})
