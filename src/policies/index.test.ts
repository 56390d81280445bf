import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { suite, test } from 'node:test'
import type { TObject } from 'typebox'
import { catalogue, policySchemas } from './index.ts'

const folder = new URL('./', import.meta.url)
const folders = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'kit')
  .map((entry) => entry.name)

test('the catalogue holds every policy that has a folder, once', () => {
  assert.deepEqual([...catalogue.values()].map(({ name }) => name).sort(), folders.toSorted())
})

for (const [name, policy] of catalogue) {
  suite(name, () => {
    test('has its policy and its test under its own name', () => {
      assert.equal(policy.name, name)
      assert.ok(existsSync(new URL(`${name}/policy.ts`, folder)))
      assert.ok(existsSync(new URL(`${name}/policy.test.ts`, folder)))
    })

    test('refuses what its schemas do not know', () => {
      for (const schema of [policy.config, policy.credential, policy.metadata]) {
        if (schema)
          assert.equal((schema as TObject & { additionalProperties?: unknown }).additionalProperties, false)
      }
    })

    test('explains every setting', () => {
      for (const schema of [policy.config, policy.credential, policy.metadata]) {
        for (const [setting, field] of Object.entries(schema?.properties ?? {})) {
          assert.ok('description' in field, `${setting} has no description`)
        }
      }
    })
  })
}

test('policies with credentials identify, and name what tells consumers apart', () => {
  for (const schema of policySchemas(catalogue).values()) {
    if (!schema.credentialSchema) continue
    assert.ok(schema.identify)
    assert.ok(schema.credentialKey! in schema.credentialSchema.properties)
  }
})

test('schemas carry the checks of their policies', () => {
  const schema = policySchemas(catalogue).get('limit-count')!
  const config = { count: 1, time_window: 1, policy: 'redis', window_type: 'fixed', group: 'g' }
  assert.match(schema.validate!(config, new Map())!, /needs 'redis_host'/)
  assert.equal(schema.sharedState!(config), 'g')
})
