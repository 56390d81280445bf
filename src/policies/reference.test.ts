import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { catalogue } from './index.ts'
import { policyPages, policyReference } from './reference.ts'

const folder = new URL('../../docs/reference/policies/', import.meta.url)
const policies = [...catalogue.values()]

test('the reference pages are those that the schemas make', () => {
  const pages = policyPages(policies)
  if (process.env.UPDATE_REFERENCE === '1') {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    for (const [name, text] of pages) writeFileSync(new URL(name, folder), text)
  }
  // A diff of two whole pages would drown what to do.
  const command = 'UPDATE_REFERENCE=1 npx node --test src/policies/reference.test.ts'
  const there = readdirSync(folder).map(
    (name) => [name, readFileSync(new URL(name, folder), 'utf8')] as const,
  )
  const other = there.filter(([name, text]) => pages.get(name) !== text).map(([name]) => name)
  assert.ok(there.length === pages.size && other.length === 0, `run: ${command} (${other.join(', ')})`)
})

test('links between policies and to guides lead somewhere', () => {
  const pages = policyPages(policies)
  const guides = new Set(readdirSync(new URL('../../guides/', folder)))
  for (const [name, text] of pages) {
    for (const [, path] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      const isThere = path!.startsWith('../../guides/') ? guides.has(path!.slice(13)) : pages.has(path!)
      assert.ok(isThere, `${name} leads to ${path}`)
    }
  }
})

test('one page has them all, for a terminal', () => {
  const text = policyReference(policies)
  for (const { name } of policies) assert.ok(text.includes(`\n## ${name}\n`), name)
})
