import { suite, test } from 'node:test'
import { check } from '../config/check.ts'
import { applyInPlace } from '../config/diff.ts'
import { type Loaded, readText } from '../config/load.ts'
import type { PlanChanges } from '../config/plan.ts'
import { noDisk, Store } from './api/store.ts'
import { type ChangeTarget, LiveConfiguration, type Transaction } from './live-configuration.ts'

function started(disk = noDisk) {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('test.yaml', 'upstreams: [{ id: u, nodes: { "127.0.0.1:1": 1 } }]', {}, loaded)
  const { plan, configuration } = check(loaded, new Map(), { gatewayVersion: '0' })
  const changes: PlanChanges[] = []
  /** Refuses changes with a route of this id. */
  const refused = new Set<string>()
  const target: ChangeTarget = {
    plan: plan!,
    async change(change) {
      changes.push(change)
      await new Promise(setImmediate)
      if (change.put.routes?.some(({ id }) => refused.has(id))) return { outcome: 'refused', reason: 'no' }
      applyInPlace(plan!, { ...change, version: plan!.version + 1 })
      return { outcome: 'applied', version: plan!.version, changes: {} }
    },
    apply: async () => ({ outcome: 'unchanged', version: 1 }),
  }
  const store = new Store(disk)
  const live = new LiveConfiguration(target, store, configuration!)
  const put = (id: string) =>
    live.run(({ configuration, store, writes }: Transaction) => {
      writes(configuration.set('routes', id, { uri: `/${id}`, upstream_id: 'u' }))
      store.put('routes', id, '{}', null)
      return `put ${id}`
    })
  return { live, put, plan: plan!, store, changes, refused }
}

suite('changes', () => {
  test('that come together go together, and each has its own answer', async (t) => {
    const { put, changes, plan } = started()
    t.assert.deepEqual(await Promise.all([put('a'), put('b'), put('c')]), ['put a', 'put b', 'put c'])
    t.assert.equal(changes.length, 1)
    t.assert.deepEqual([...plan.routes.keys()], ['a', 'b', 'c'])
  })

  test('see what was changed before them', async (t) => {
    const { live, put } = started()
    const [, seen] = await Promise.all([put('a'), live.run(({ store }) => store.get('routes', 'a')?.id)])
    t.assert.equal(seen, 'a')
  })

  test('that throw leave nothing, and the others go on', async (t) => {
    const { live, put, plan, store } = started()
    const broken = live.run(({ configuration, store, writes }) => {
      writes(configuration.set('routes', 'x', { uri: '/x', upstream_id: 'u' }))
      store.put('routes', 'x', '{}', null)
      throw new Error('broken')
    })
    const answers = await Promise.allSettled([put('a'), broken, put('b')])
    t.assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    t.assert.deepEqual([[...plan.routes.keys()], store.count('routes')], [['a', 'b'], 2])
  })

  test('that a thread refuses are found and left out', async (t) => {
    const { put, plan, store, live, refused } = started()
    refused.add('b')
    const answers = await Promise.allSettled([put('a'), put('b'), put('c')])
    t.assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    t.assert.deepEqual([[...plan.routes.keys()], store.count('routes')], [['a', 'c'], 2])
    t.assert.equal(live.configuration.has('routes', 'b'), false)
  })

  test('that the disk does not take are taken back from the threads', async (t) => {
    let full = false
    const { put, plan, store, live } = started({
      ...noDisk,
      write: async () => {
        if (full) throw new Error('database or disk is full')
      },
    })
    await put('a')
    full = true
    await t.assert.rejects(put('b'), /could not be made durable: database or disk is full/)
    t.assert.deepEqual(
      [[...plan.routes.keys()], store.count('routes'), live.configuration.has('routes', 'b')],
      [['a'], 1, false],
    )
    full = false
    t.assert.equal(await put('b'), 'put b')
  })

  test('that lead back to what is there touch no thread', async (t) => {
    const { put, changes } = started()
    await put('a')
    await put('a')
    t.assert.deepEqual(
      changes.map(({ put }) => put.routes?.length),
      [1, undefined],
    )
  })
})
