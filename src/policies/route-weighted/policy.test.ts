import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const target = async (config: object, path: string) =>
  (await bindPolicy(policy, { config: config as never }).run({ target: path })).upstream?.target

test('the path behind the base, or what the groups found, behind the destination', async () => {
  const to = (destinationPath?: string) => ({
    routes: [destinationPath === undefined ? {} : { destinationPath }],
  })
  assert.equal(await target(to(), '/a/b?c=d'), '/a/b?c=d')
  assert.equal(await target({ ...to('/v1/'), base: '/api' }, '/api/a'), '/v1/a')
  assert.equal(await target({ ...to('v1'), base: '/api' }, '/api/'), '/v1/')
  const grouped = { ...to('/v1'), path: '^/api(?:/x(/.*))$', capturing: true, base: '/api' }
  assert.equal(await target(grouped, '/api/x/a%2Fb'), '/v1/a%2Fb')
  assert.equal(await target({ ...grouped, path: '^/(a)(b)?$' }, '/a'), '/v1/a')
})

test('turns go by weight', async () => {
  const routes = [
    { weight: 2, destinationPath: '/', upstream_id: 'one' },
    { weight: 1, destinationPath: '/', upstream_id: 'two' },
  ]
  const { run } = bindPolicy(policy, { config: { routes } })
  const turns: (string | undefined)[] = []
  for (let i = 0; i < 6; i++) turns.push((await run()).sentTo)
  const counts = Object.values(Object.groupBy(turns, (key) => key ?? '')).map((keys) => keys!.length)
  assert.deepEqual(counts.toSorted(), [2, 4])
})

test('what it does not take', () => {
  for (const config of [
    {},
    { routes: [{ weight: 0 }] },
    { routes: [{ weight: 101 }] },
    { routes: [{ destinationPath: '/a?b' }] },
    { routes: [{ destinationPath: '/a b' }] },
    { routes: [{}], path: '(', capturing: true },
  ]) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), JSON.stringify(config))
  }
})

test('without services a request is answered with 404, no body and its id', async () => {
  const { answer } = await runPolicy(policy, { config: { routes: [] } })
  assert.deepEqual([answer.status, answer.body], [404, ''])
  assert.match(answer.headers['x-correlation-id'] ?? '', /./)
})
