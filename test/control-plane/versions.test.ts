/** Every change a version; the way back; what the database alone cannot do. */
import assert from 'node:assert/strict'

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, suite, test } from 'node:test'
import { keyIdOf } from '../../src/config-sync/protocol/index.ts'
import { PrivateFolder, rotateKeys } from '../../src/control-plane/index.ts'
import {
  type Json,
  startTestControlPlane,
  TestAgent,
  type TestControlPlane,
} from '../harness/embedded-control-plane.ts'

const upstream = { type: 'roundrobin', nodes: { '127.0.0.1:1': 1 } }
const versions = '/api/gateway_groups/default/versions'

suite('the history of a group', () => {
  let plane: TestControlPlane
  before(async () => {
    plane = await startTestControlPlane()
  })
  after(() => plane.remove())

  test('has every change with author, time and what for, but no attempt', async () => {
    await plane.ask('PUT', '/apisix/admin/upstreams/u1', upstream)
    await plane.ask('PUT', '/apisix/admin/routes/r1', { uri: '/1', upstream_id: 'u1' })
    await plane.ask('PUT', '/apisix/admin/routes/r1', { uri: '/2', upstream_id: 'u1' })
    await plane.ask('PUT', '/apisix/admin/routes/r2', { uri: 3 })
    await plane.ask('PUT', '/apisix/admin/routes/r3?dry-run=all', { uri: '/3', upstream })
    const { json } = await plane.ask('GET', versions)
    assert.deepEqual(
      json.list.map(({ version, author, message, changes }: Json) => [version, author, message, changes]),
      [
        [4, 'first', 'PUT /routes/r1', [{ kind: 'routes', id: 'r1', what: 'changed' }]],
        [3, 'first', 'PUT /routes/r1', [{ kind: 'routes', id: 'r1', what: 'added' }]],
        [2, 'first', 'PUT /upstreams/u1', [{ kind: 'upstreams', id: 'u1', what: 'added' }]],
        [
          1,
          'the control plane',
          'the group was made',
          [{ kind: '$settings', id: 'desired_status', what: 'added' }],
        ],
      ],
    )
    for (const { time } of json.list) assert.ok(Math.abs(time - Date.now() / 1000) < 60)
  })

  test('tells two versions apart', async () => {
    const { json } = await plane.ask('GET', '/api/gateway_groups/default/diff?from=2&to=4')
    assert.equal(json.total, 1)
    assert.equal(json.list[0].before, null)
    assert.equal(json.list[0].after.uri, '/2')
    const back = await plane.ask('GET', '/api/gateway_groups/default/diff?from=4&to=3')
    assert.equal(back.json.list[0].after.uri, '/1')
    assert.equal((await plane.ask('GET', '/api/gateway_groups/default/diff?from=9')).status, 404)
  })

  test('goes back, as a new version, with what belongs together', async () => {
    await plane.ask('PUT', '/apisix/admin/consumers', {
      username: 'jack',
      plugins: { 'key-auth': { key: 'k' } },
    })
    await plane.ask('DELETE', '/apisix/admin/routes/r1')
    await plane.ask('DELETE', '/apisix/admin/upstreams/u1')
    const { status, json } = await plane.ask('POST', '/api/gateway_groups/default/rollback', { version: 3 })
    assert.equal(status, 200)
    assert.deepEqual(json.value, { version: 8, changes: 3 })
    const { json: route } = await plane.ask('GET', '/apisix/admin/routes/r1')
    assert.deepEqual(route.value.paths, ['/1'])
    assert.equal((await plane.ask('GET', '/apisix/admin/consumers/jack')).status, 404)
    const { json: same } = await plane.ask('GET', '/api/gateway_groups/default/diff?from=3&to=8')
    assert.deepEqual(same.list, [])
  })

  test('is there after a restart', async () => {
    await plane.restart()
    const { json } = await plane.ask('GET', versions)
    assert.equal(json.total, 8)
    const { json: route } = await plane.ask('GET', '/apisix/admin/routes/r1')
    assert.deepEqual(route.value.paths, ['/1'])
  })

  test('answers a dry run with findings, and changes nothing', async () => {
    const good = await plane.ask('POST', '/api/gateway_groups/default/dry_run')
    assert.equal(good.json.valid, true)
    const resources = { routes: [{ id: '1', uri: '/', upstream_id: 'none' }] }
    const { json } = await plane.ask('POST', '/api/gateway_groups/default/dry_run', { resources })
    assert.equal(json.valid, false)
    assert.equal(json.findings[0].code, 'dangling-reference')
    assert.equal(json.findings[0].path, 'routes[0].upstream_id')
    assert.equal((await plane.ask('GET', versions)).json.total, 8)
  })

  test('waits for somebody to publish where the group says so', async () => {
    const agent = await TestAgent.register(plane.platform, await plane.newToken())
    await agent.poll()
    await plane.ask('PUT', '/api/gateway_groups/default', { enforce_service_publishing: true })
    await plane.ask('PUT', '/apisix/admin/routes/later', { uri: '/later', upstream })
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(await agent.poll(), undefined)
    const { json } = await plane.ask('POST', '/api/gateway_groups/default/publish', { message: 'now' })
    assert.deepEqual(json.value, { version: 9, published: true })
    assert.match(JSON.stringify(await agent.poll()), /"\/later"/)
    const { json: again } = await plane.ask('POST', '/api/gateway_groups/default/publish')
    assert.deepEqual(again.value, { version: 9, published: false })
  })
})

suite('who can write to the database alone', () => {
  const changes: [string, string][] = [
    ['cannot change a draft', `UPDATE drafts SET value = replace(value, '/1', '/evil') WHERE id = 'r1'`],
    [
      'cannot add a draft',
      `INSERT INTO drafts VALUES ('default', 'routes', 'x', '{"id":"x","uri":"/x"}', 9, 9, NULL)`,
    ],
    ['cannot take a draft away', `DELETE FROM drafts WHERE id = 'r1'`],
    ['cannot change the history', `UPDATE versions SET author = 'nobody' WHERE version = 2`],
    ['cannot take the newest version away', `DELETE FROM versions WHERE version = 2`],
    ['cannot make an admin key', `UPDATE records SET id = hex(randomblob(32)) WHERE collection = 'keys'`],
    [
      'cannot widen what a group is',
      `UPDATE records SET value = replace(value, 'false', 'true') WHERE collection = 'groups'`,
    ],
    [
      'cannot give themselves the token of another',
      `INSERT INTO records SELECT collection, 'mine', value, mark FROM records WHERE collection = 'registration-tokens'`,
    ],
  ]
  for (const [what, change] of changes) {
    test(what, async () => {
      const plane = await startTestControlPlane()
      await plane.ask('PUT', '/apisix/admin/routes/r1', { uri: '/1', upstream })
      await plane.close()
      edit(plane.data, change)
      await assert.rejects(plane.restart(), /did not write|than this control plane wrote/)
    })
  }

  test('cannot have what they put in place of a publication signed', async () => {
    const plane = await startTestControlPlane()
    try {
      const agent = await TestAgent.register(plane.platform, plane.token)
      await plane.ask('PUT', '/apisix/admin/routes/r1', { uri: '/1', upstream })
      await agent.until(({ resources }) => JSON.stringify(resources).includes('/1'))
      await plane.close()
      edit(plane.data, `UPDATE publications SET configuration = replace(configuration, '/1', '/evil')`)
      await plane.restart()
      const again = new TestAgent(
        { ...agent.registration, urls: { sync: [plane.sync], platform: '' } },
        agent.key,
      )
      again.held = agent.held
      // It is signed anew from the drafts, which stand under marks, with a number of its own.
      const got = await again.until(({ resources }) => JSON.stringify(resources).includes('/1'))
      assert.doesNotMatch(JSON.stringify(got), /evil/)
    } finally {
      await plane.remove()
    }
  })

  function edit(data: string, change: string): void {
    const database = new DatabaseSync(join(data, 'control-plane.db'))
    assert.ok(database.prepare(change).run().changes > 0, 'it changed something')
    database.close()
  }
})

suite('the keys of a control plane', () => {
  test('are rotated with the passphrase of the root alone, and a lost key is revoked', async () => {
    const plane = await startTestControlPlane()
    try {
      const agent = await TestAgent.register(plane.platform, plane.token)
      await plane.ask('PUT', '/apisix/admin/routes/r1', { uri: '/1', upstream })
      await agent.until(({ resources }) => JSON.stringify(resources).includes('/1'))
      const signer = agent.verify((await agent.ask('/sync/v1/configuration')).bytes).delegation.keys[0]!.key
      await plane.close()
      const folder = new PrivateFolder(plane.data)
      const now = Math.floor(Date.now() / 1000)
      assert.throws(() => rotateKeys({ folder, now, rootPassphrase: 'wrong' }), /passphrase does not open/)
      const rotated = rotateKeys({
        folder,
        now,
        rootPassphrase: plane.rootPassphrase,
        revoke: [keyIdOf(signer)],
      })
      assert.equal(rotated.version, 2)
      assert.equal(rotated.keys.length, 1)
      await plane.restart()
      const again = new TestAgent(
        { ...agent.registration, urls: { sync: [plane.sync], platform: '' } },
        agent.key,
      )
      again.held = agent.held
      again.keysVersion = 1
      const got = await again.until(() => true)
      assert.match(JSON.stringify(got), /"\/1"/)
      assert.equal(again.keysVersion, 2)
    } finally {
      await plane.remove()
    }
  })

  test('lie under a passphrase where one is given', async () => {
    const plane = await startTestControlPlane({ passphrase: 'a good one' })
    await plane.close()
    const folder = new PrivateFolder(plane.data)
    for (const name of ['ca.key', 'signing.key', 'seal.key', 'root.key']) {
      assert.doesNotMatch(folder.read(name)!, /PRIVATE KEY/)
    }
    await assert.rejects(startTestControlPlane({ data: plane.data }), /is under a passphrase/)
    await assert.rejects(startTestControlPlane({ data: plane.data, passphrase: 'another' }), /does not open/)
    await (await startTestControlPlane({ data: plane.data, passphrase: 'a good one' })).remove()
  })

  test('of a stranger do not rotate', async () => {
    const [ours, theirs] = [await startTestControlPlane(), await startTestControlPlane()]
    try {
      const root = new PrivateFolder(theirs.data).read('root.key')!
      const folder = new PrivateFolder(ours.data)
      const options = { folder, now: 1_790_000_000, rootPassphrase: theirs.rootPassphrase, root }
      assert.throws(() => rotateKeys(options), /do not know this root key/)
    } finally {
      await Promise.all([ours.remove(), theirs.remove()])
    }
  })
})
