import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { configurationReference } from './reference.ts'

const page = new URL('../../docs/reference/configuration.md', import.meta.url)

test('the reference page is what the schemas say', (t) => {
  const text = configurationReference()
  if (process.env.UPDATE_REFERENCE === '1') writeFileSync(page, text)
  t.assert.equal(readFileSync(page, 'utf8'), text)
})

test('every field has a description', (t) => {
  const bare = configurationReference()
    .split('\n')
    .filter((line) => /^\| `.*\| +\|$/.test(line))
  t.assert.deepEqual(bare, [])
})
