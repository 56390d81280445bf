import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { catalogue } from './index.ts'
import { policyReference } from './reference.ts'

test('the reference page is the one that the schemas make', () => {
  const page = readFileSync(new URL('../../docs/reference/policies.md', import.meta.url), 'utf8')
  // A diff of two whole pages would drown what to do.
  const command = 'npm run -s sluice -- policy list --format markdown > docs/reference/policies.md'
  assert.ok(page === policyReference([...catalogue.values()]), `run: ${command}`)
})
