import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalogue, policySchemas } from '../policies/index.ts'
import { luaPolicies } from './lua.ts'

test('policies that run Lua are none of the catalogue, and each says where its functions go', () => {
  const known = policySchemas(catalogue)
  for (const [name, hint] of luaPolicies) {
    assert.equal(known.has(name), false, name)
    assert.match(hint, /^Its functions are Lua, which does not run here\./)
  }
})
