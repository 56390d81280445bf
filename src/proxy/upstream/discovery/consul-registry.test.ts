import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { instance, respond, startConsul } from '../../../../test/harness/consul-server.ts'
import { watchNodes } from '../../../../test/harness/node-watcher.ts'
import type { ConsulSettings } from '../../../config/discovery.ts'

const defaults = {
  keepalive: true,
  fetch_interval: 3,
  weight: 1,
  timeout: { connect: 2000, read: 2000, wait: 60 },
  sort_type: 'origin',
} as const

function following(t: TestContext, servers: readonly { url: string }[], more: Partial<ConsulSettings> = {}) {
  const config = { ...defaults, servers: servers.map(({ url }) => url), ...more }
  return watchNodes(t, { type: 'consul', id: 'default', config })
}

async function folder(t: TestContext) {
  const path = await mkdtemp(join(tmpdir(), 'consul-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

const nowhere = { url: 'http://127.0.0.1:1' }

suite('nodes of a service in Consul', () => {
  test('are its healthy instances, with the weight that is set', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001), instance(8002)])
    const watcher = following(t, [consul], { weight: 7 })
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*7 127.0.0.1:8002*7')
  })

  test('have port 80 without one, and the address of their agent without one', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [
      instance(0),
      instance(8002, { Address: '' }),
      { Node: { Address: '10.0.0.9' }, Service: { Address: '', Port: 81 } },
    ])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:80*1 127.0.0.1:8002*1 10.0.0.9:81*1')
  })

  test('are told once each', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001), instance(8001)])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
  })

  for (const [sort, expected] of [
    ['origin', 'b:2*1 a:3*1 b:1*1'],
    ['host_sort', 'a:3*1 b:2*1 b:1*1'],
    ['port_sort', 'b:1*1 b:2*1 a:3*1'],
    ['combine_sort', 'a:3*1 b:1*1 b:2*1'],
  ] as const) {
    test(`come in the order of ${sort}`, async (t) => {
      const consul = await startConsul(t)
      consul.set('users', [
        instance(2, { Address: 'b' }),
        instance(3, { Address: 'a' }),
        instance(1, { Address: 'b' }),
      ])
      const watcher = following(t, [consul], { sort_type: sort })
      await watcher.watch(['users'])
      assert.equal(watcher.nodes('users'), expected)
    })
  }

  test('may be chosen by metadata', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [
      instance(8001, { Meta: { version: 'v1', zone: 'a' } }),
      instance(8002, { Meta: { version: 'v2', zone: 'a' } }),
      instance(8003),
    ])
    const watcher = following(t, [consul])
    const canary = { service_name: 'users', metadata: { version: 'v2', zone: 'a' } }
    await watcher.watch([canary])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8002*1')
  })

  test('are asked for with the token', async (t) => {
    const consul = await startConsul(t, { token: 'a-token' })
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul], { token: 'a-token' })
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
    assert.ok(consul.asked.every((url) => !url.includes('a-token')))
  })

  test('names are escaped', async (t) => {
    const consul = await startConsul(t)
    consul.set('a/b c?', [instance(8001)])
    const watcher = following(t, [consul])
    await watcher.watch(['a/b c?'])
    assert.equal(watcher.nodes('a/b c?'), '127.0.0.1:8001*1')
  })
})

suite('services without nodes in Consul', () => {
  const byDefault = { default_service: { host: '127.0.0.1', port: 20999 } }

  test('are empty', async (t) => {
    const consul = await startConsul(t)
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '')
  })

  test('have the default service', async (t) => {
    const consul = await startConsul(t)
    const watcher = following(t, [consul], { ...byDefault, weight: 5 })
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:20999*5')
    consul.set('users', [instance(8001)])
    await watcher.becomes('users', '127.0.0.1:8001*5')
    consul.set('users', [])
    await watcher.becomes('users', '127.0.0.1:20999*5')
  })

  test('have the default service when Consul cannot be asked', async (t) => {
    const watcher = following(t, [nowhere], byDefault)
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:20999*1')
  })

  test('services that are skipped are not asked about', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul], { ...byDefault, skip_services: ['users'] })
    await watcher.watch(['users', 'consul'])
    assert.deepEqual(
      [watcher.nodes('users'), watcher.nodes('consul')],
      ['127.0.0.1:20999*1', '127.0.0.1:20999*1'],
    )
    assert.deepEqual(consul.asked, [])
  })
})

suite('blocking queries', () => {
  test('hear of a change at once', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    await consul.requests(2)
    consul.set('users', [instance(8001), instance(8002)])
    await watcher.becomes('users', '127.0.0.1:8001*1 127.0.0.1:8002*1')
    assert.deepEqual(consul.asked.slice(0, 2), [
      '/v1/health/service/users?passing=true',
      '/v1/health/service/users?passing=true&index=11&wait=60s',
    ])
  })

  test('a change of something else is no news', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    await consul.requests(2)
    consul.touch()
    await consul.requests(3)
    assert.deepEqual(watcher.changes, ['users: 127.0.0.1:8001*1'])
  })

  test('an index that goes backwards is not waited on', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    await consul.requests(2)
    consul.rewind()
    await consul.requests(4)
    assert.deepEqual(consul.asked.slice(1, 4), [
      '/v1/health/service/users?passing=true&index=11&wait=60s',
      '/v1/health/service/users?passing=true',
      '/v1/health/service/users?passing=true&index=1&wait=60s',
    ])
    consul.set('users', [instance(8002)])
    await watcher.becomes('users', '127.0.0.1:8002*1')
  })

  test('an answer without an index is asked for again in intervals', async (t) => {
    const consul = await startConsul(t)
    consul.breakWith((response) => respond(response, 200, JSON.stringify([instance(8001)])))
    const watcher = following(t, [consul], { fetch_interval: 0.02 })
    await watcher.watch(['users'])
    await consul.requests(3)
    assert.deepEqual(new Set(consul.asked), new Set(['/v1/health/service/users?passing=true']))
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
  })

  test('are not used without keepalive', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul], { keepalive: false, fetch_interval: 0.02 })
    await watcher.watch(['users'])
    consul.set('users', [instance(8002)])
    await watcher.becomes('users', '127.0.0.1:8002*1')
    assert.deepEqual(new Set(consul.asked), new Set(['/v1/health/service/users?passing=true']))
  })

  test('leave an agent its connections: services beyond a hundred are asked about in intervals', async (t) => {
    const consul = await startConsul(t)
    const names = Array.from({ length: 105 }, (_, index) => `service-${index}`)
    const watcher = following(t, [consul], { fetch_interval: 0.02 })
    await watcher.watch(names)
    await consul.requests(400)
    assert.ok(consul.waiting <= 100, `${consul.waiting} wait`)
    for (const name of names) consul.set(name, [instance(8001)])
    for (const name of names) await watcher.becomes(name, '127.0.0.1:8001*1')
  })

  test('end when nobody names the service any more', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    consul.set('orders', [instance(8002)])
    const watcher = following(t, [consul])
    await watcher.watch(['users', 'orders'])
    await consul.requests(4)
    await watcher.watch(['orders'])
    while (consul.waiting > 1) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepEqual(watcher.changes.slice(2), ['users: forgotten'])
  })
})

suite('a Consul that misbehaves', () => {
  const faults: Record<string, Parameters<Awaited<ReturnType<typeof startConsul>>['breakWith']>[0]> = {
    'an error': (response) => respond(response, 500, 'No cluster leader'),
    'a refusal': (response) => respond(response, 403, 'Permission denied'),
    'something that is not JSON': (response) => respond(response, 200, '<html>'),
    'something that is no list': (response) => respond(response, 200, '{"error": "x"}'),
    'a connection that breaks off': (response) => {
      response.writeHead(200, { 'Content-Length': 1000 })
      response.write('[{')
      setImmediate(() => response.destroy())
    },
    'an answer without end': (response) => {
      response.writeHead(200)
      const chunk = Buffer.alloc(1024 * 1024, ' ')
      const more = () => {
        while (response.write(chunk) && !response.destroyed);
      }
      response.on('drain', more)
      more()
    },
  }
  for (const [fault, handler] of Object.entries(faults)) {
    test(`${fault}: what was known stands`, async (t) => {
      const consul = await startConsul(t)
      consul.set('users', [instance(8001)])
      const watcher = following(t, [consul])
      await watcher.watch(['users'])
      await consul.requests(2)
      consul.breakWith(handler)
      await consul.requests(5)
      assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
      consul.breakWith(undefined)
      consul.set('users', [instance(8002)])
      await watcher.becomes('users', '127.0.0.1:8002*1')
      const [status] = watcher.discovery.status()
      assert.ok(status!.failures > 0)
      assert.equal(status!.state, 'healthy')
    })
  }

  test('an agent that says nothing is given up and asked anew', async (t) => {
    const consul = await startConsul(t)
    consul.breakWith(() => {})
    const watcher = following(t, [consul], { timeout: { connect: 1000, read: 30, wait: 60 } })
    const settled = watcher.watch(['users'])
    await consul.requests(2)
    consul.breakWith(undefined)
    consul.set('users', [instance(8001)])
    await settled
    await watcher.becomes('users', '127.0.0.1:8001*1')
  })

  test('entries that are of no use are left out and counted', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [
      { Node: { Node: 'reclaimed', Address: '127.0.0.1' }, Checks: [] },
      instance(8001),
      instance(70_000),
      null,
      { Service: { Address: 5, Port: 1 } },
    ])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
    assert.deepEqual(
      watcher.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields.unusable),
      [4],
    )
  })

  test('a host that is none does not get through', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [
      instance(8001, { Address: 'a\r\nX-Evil: 1' }),
      instance(8002, { Address: 'a b' }),
      instance(8003),
    ])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8003*1')
    assert.ok(watcher.lines.some(({ message }) => message === 'a registry has nodes that cannot be used'))
    assert.doesNotMatch(JSON.stringify(watcher.lines), /X-Evil/)
  })

  test('a Consul that comes back is found', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const watcher = following(t, [consul])
    await watcher.watch(['users'])
    await consul.requests(2)
    consul.stop()
    while (watcher.discovery.status()[0]!.failures < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
    consul.set('users', [instance(8002)])
    await consul.restart()
    await watcher.becomes('users', '127.0.0.1:8002*1')
  })

  test('no log line holds the token', async (t) => {
    const consul = await startConsul(t, { token: 'right' })
    const watcher = following(t, [consul], { token: 'a-wrong-token' })
    await watcher.watch(['users'])
    assert.ok(watcher.lines.length > 0)
    assert.doesNotMatch(JSON.stringify(watcher.lines), /a-wrong-token/)
  })
})

suite('several Consul servers', () => {
  test('of different clusters add up', async (t) => {
    const [first, second] = [await startConsul(t), await startConsul(t)]
    first.set('users', [instance(8001)])
    second.set('orders', [instance(8002)])
    const watcher = following(t, [first, second])
    await watcher.watch(['users', 'orders'])
    await watcher.becomes('users', '127.0.0.1:8001*1')
    await watcher.becomes('orders', '127.0.0.1:8002*1')
  })

  test('of the same cluster say the same: one that is down is not missed, nor believed', async (t) => {
    const [first, second] = [await startConsul(t), await startConsul(t)]
    for (const consul of [first, second]) consul.set('users', [instance(8001), instance(8002)])
    const watcher = following(t, [first, second])
    await watcher.watch(['users'])
    await second.requests(2)
    second.stop()
    while (watcher.discovery.status()[0]!.failures < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    first.set('users', [instance(8001)])
    await watcher.becomes('users', '127.0.0.1:8001*1')
    assert.equal(watcher.discovery.status()[0]!.state, 'healthy')
  })

  test('a service that is in one cluster alone keeps its nodes while that is down', async (t) => {
    const [first, second] = [await startConsul(t), await startConsul(t)]
    first.set('users', [instance(8001)])
    const watcher = following(t, [first, second])
    await watcher.watch(['users'])
    await watcher.becomes('users', '127.0.0.1:8001*1')
    await first.requests(2)
    first.stop()
    while (watcher.discovery.status()[0]!.failures < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    second.touch()
    await second.requests(3)
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
  })
})

suite('the dump of Consul', () => {
  test('holds the nodes, for nobody but the owner', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const path = join(await folder(t), 'consul.dump')
    const watcher = following(t, [consul], { dump: { path, load_on_init: true, expire: 30 } })
    await watcher.watch(['users', 'orders'])
    consul.set('orders', [instance(8002)])
    await watcher.becomes('orders', '127.0.0.1:8002*1')
    let file: { services: Record<string, unknown>; last_update: number; expire: number }
    do file = JSON.parse(await readFile(path, 'utf8'))
    while (file.services.orders === undefined)
    assert.deepEqual(file.services, {
      users: [{ host: '127.0.0.1', port: 8001, weight: 1 }],
      orders: [{ host: '127.0.0.1', port: 8002, weight: 1 }],
    })
    assert.equal(file.expire, 30)
    assert.ok(Math.abs(file.last_update - Date.now() / 1000) < 60)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  const dumped = (lastUpdate: number) =>
    JSON.stringify({
      services: { users: [{ host: '127.0.0.1', port: 8009, weight: 1 }] },
      last_update: lastUpdate,
      expire: 0,
    })
  const now = () => Math.floor(Date.now() / 1000)

  test('is what a start without Consul begins with, and what Consul says takes its place', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    consul.stop()
    const path = join(await folder(t), 'consul.dump')
    await writeFile(path, dumped(now()))
    const watcher = following(t, [consul], { dump: { path, load_on_init: true, expire: 0 } })
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8009*1')
    await consul.restart()
    await watcher.becomes('users', '127.0.0.1:8001*1')
    consul.set('users', [])
    await watcher.becomes('users', '')
  })

  for (const [what, text, settings] of [
    ['has expired', dumped(now() - 100), { load_on_init: true, expire: 10 }],
    ['is not to be loaded', dumped(now()), { load_on_init: false, expire: 0 }],
    ['is not JSON', 'services', { load_on_init: true, expire: 0 }],
    [
      'is something else',
      '{"services": {"users": [{"host": 1}]}, "last_update": 1}',
      { load_on_init: true, expire: 0 },
    ],
  ] as const) {
    test(`is not used when it ${what}`, async (t) => {
      const path = join(await folder(t), 'consul.dump')
      await writeFile(path, text)
      const watcher = following(t, [nowhere], { dump: { path, ...settings } })
      await watcher.watch(['users'])
      assert.equal(watcher.nodes('users'), undefined)
    })
  }

  test('that cannot be written costs nothing but a line of log', async (t) => {
    const consul = await startConsul(t)
    consul.set('users', [instance(8001)])
    const path = join(await folder(t), 'missing', 'consul.dump')
    const watcher = following(t, [consul], { dump: { path, load_on_init: true, expire: 0 } })
    await watcher.watch(['users'])
    while (!watcher.lines.some(({ level }) => level === 'error'))
      await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
  })
})
