import { test } from 'node:test'
import type { Catalogue } from './policy-check.ts'
import { SharedStates } from './shared-states.ts'
import { Type } from './type.ts'

const catalogue: Catalogue = new Map([
  [
    'limit',
    {
      name: 'limit',
      configSchema: Type.Object({}),
      identify: false,
      sharedState: ({ group }: Record<string, unknown>) => (typeof group === 'string' ? group : undefined),
    },
  ],
])

test('configurations that share a state are the same, or in conflict', (t) => {
  const states = new SharedStates(catalogue)
  const limit = (count: number) => ({ limit: { group: 'g', count } })
  states.add('routes/a', limit(1))
  t.assert.equal(states.conflicts('limit', limit(1).limit, 'routes/b'), false)
  t.assert.equal(states.conflicts('limit', limit(2).limit, 'routes/b'), true)
  t.assert.equal(states.conflicts('limit', limit(2).limit, 'routes/a'), false)
  t.assert.equal(states.conflicts('limit', { count: 2 }, 'routes/b'), false)
  t.assert.equal(states.conflicts('other', limit(2).limit, 'routes/b'), false)
  states.remove('routes/a', limit(1))
  t.assert.equal(states.conflicts('limit', limit(2).limit, 'routes/b'), false)
})
