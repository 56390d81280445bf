/** The configurations in docs/guides/balance.md check. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { planOf } from '../threads/plan.ts'

const guide = readFileSync(new URL('../../docs/guides/balance.md', import.meta.url), 'utf8')
const blocks = Array.from(guide.matchAll(/^```yaml\n(.*?)^```$/gms), ([, yaml]) => yaml!)

suite('the guide to balancing', () => {
  test('has examples', () => assert.ok(blocks.length >= 3))
  for (const yaml of blocks)
    test(yaml.split('\n')[1]!.trim(), () => assert.equal(planOf(yaml).upstreams.size, 1, yaml))
})
