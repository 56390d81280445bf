/** What docs/guides/health-checks.md says about configurations and metrics holds. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { healthFamilies } from '../../src/proxy/upstream/health/families.ts'
import { planOf } from '../threads/plan.ts'

const guide = readFileSync(new URL('../../docs/guides/health-checks.md', import.meta.url), 'utf8')
const blocks = Array.from(guide.matchAll(/^```yaml\n(.*?)^```$/gms), ([, yaml]) => yaml!)

suite('the guide to health checks', () => {
  test('has an example of each kind', () => {
    assert.equal(blocks.length, 3)
    for (const yaml of blocks) assert.equal(planOf(yaml).upstreams.size, 1, yaml)
  })

  test('passive checks alone are a finding', () => {
    const passive = blocks[1]!.replace(/^ +active: .*\n/m, '')
    assert.notEqual(passive, blocks[1])
    assert.throws(() => planOf(passive), /active/)
  })

  test('names every metric, and no other', () => {
    const totals = {
      probes: {
        status: 0,
        connected: 0,
        connect_failed: 0,
        tls_failed: 0,
        closed: 0,
        bad_response: 0,
        timeout: 0,
      },
      becameUnhealthy: 0,
      becameHealthy: 0,
      ejections: 0,
    }
    const families = healthFamilies([], totals, (key) => key).map(({ name }) => name)
    const named = Array.from(guide.matchAll(/`((?:apisix|sluice)_[a-z_]+)`/g), ([, name]) => name!)
    assert.deepEqual(named.sort(), families.sort())
  })
})
