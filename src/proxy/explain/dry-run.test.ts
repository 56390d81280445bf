import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planOf } from '../../../test/threads/plan.ts'
import { diffPlans } from '../../config/diff.ts'
import type { Plugins } from '../../config/plan.ts'
import type { Exchange, PolicyFactory, PolicyHandlers } from '../exchange.ts'
import { Runtime } from '../runtime.ts'
import { HealthRegister } from '../upstream/health/health-register.ts'
import { createHealthTable } from '../upstream/health/table.ts'
import { NotEvaluated, runDry } from './dry-run.ts'

/** A route with one policy for each handler, in their order. */
async function run(...handlers: PolicyHandlers['request'][]) {
  const policies = new Map<string, PolicyFactory>()
  const plugins: Plugins = {}
  handlers.forEach((request, index) => {
    const name = `p${index}`
    plugins[name] = {}
    policies.set(name, {
      name,
      stage: 'transform',
      priority: 100 - index,
      yieldsToRoute: false,
      create: () => ({ ...(request && { request }) }),
    })
  })
  const plan = planOf('routes: [{ id: a, uri: /a, upstream: { nodes: { "127.0.0.1:1": 1 } } }]')
  plan.routes.get('a')!.plugins = plugins
  const runtime = new Runtime(
    policies,
    'radixtree_host_uri',
    () => {},
    new HealthRegister(createHealthTable(1)),
  )
  runtime.apply(diffPlans(null, plan))
  const headers = { get: () => undefined }
  const exchange = {
    request: { host: '', path: '/a', method: 'GET', headers },
    consumer: null,
  } as unknown as Exchange
  return runDry(exchange, runtime.match(exchange, '/a'), policies, runtime)
}

test('writes down every turn up to the answer', async () => {
  const { turns, outcome } = await run(
    () => undefined,
    async () => undefined,
    () => ({ status: 403 }),
    () => assert.fail('nobody comes after an answer'),
  )
  assert.deepEqual(turns, [
    { policy: 'p0', owner: 'route:a' },
    { policy: 'p1', owner: 'route:a' },
    { policy: 'p2', owner: 'route:a', verdict: { status: 403 } },
  ])
  assert.deepEqual(outcome, { kind: 'answered', verdict: { status: 403 }, policy: 'p2' })
})

test('a policy that would need somebody else is passed over, and the others go on', async () => {
  const { turns, outcome } = await run(
    () => {
      throw new NotEvaluated('it asks an introspection endpoint')
    },
    async () => {
      throw new NotEvaluated('it asks another server')
    },
  )
  assert.deepEqual(
    turns.map(({ unknown }) => unknown),
    ['it asks an introspection endpoint', 'it asks another server'],
  )
  assert.equal(outcome.kind, 'forwarded')
})

test('a policy that breaks denies the request, as it would in traffic', async () => {
  const { turns, outcome } = await run(() => {
    throw new Error('broken')
  })
  assert.equal(turns[0]?.failed, 'broken')
  assert.deepEqual(outcome.kind === 'failed' && outcome.error.code, 'policy_failed')
})
