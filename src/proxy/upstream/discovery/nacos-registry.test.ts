import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { suite, type TestContext, test } from 'node:test'
import { type NacosOptions, nacosInstance, startNacos } from '../../../../test/harness/nacos-server.ts'
import { watchNodes } from '../../../../test/harness/node-watcher.ts'
import type { NacosSettings } from '../../../config/discovery.ts'

function watching(t: TestContext, host: readonly string[], more: Partial<NacosSettings> = {}) {
  const config: NacosSettings = {
    host,
    prefix: '/nacos/v1/',
    fetch_interval: 0.02,
    weight: 100,
    timeout: { connect: 2000, send: 2000, read: 5000 },
    ...more,
  }
  return watchNodes(t, { type: 'nacos', id: 'default', config })
}

async function following(t: TestContext, more: Partial<NacosSettings> = {}, options: NacosOptions = {}) {
  const nacos = await startNacos(t, options)
  return { nacos, watcher: watching(t, [nacos.url], more) }
}

for (const version of ['v1', 'v2', 'v3'] as const) {
  suite(`nodes of a service in Nacos, ${version}`, () => {
    const start = (t: TestContext, more: Partial<NacosSettings> = {}, options: NacosOptions = {}) =>
      following(t, { prefix: `/nacos/${version}/`, ...more }, { version, ...options })

    test('are its healthy instances', async (t) => {
      const { nacos, watcher } = await start(t)
      nacos.set('users', [
        nacosInstance(8002, { weight: 3 }),
        nacosInstance(8001),
        nacosInstance(8003, { healthy: false }),
        nacosInstance(8004, { enabled: false }),
      ])
      await watcher.watch(['users'])
      assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1 127.0.0.1:8002*3')
    })

    test('are none where there is no such service', async (t) => {
      const { watcher } = await start(t)
      await watcher.watch(['users'])
      assert.equal(watcher.nodes('users'), '')
      assert.equal(watcher.discovery.status()[0]!.failures, 0)
    })

    test('change when they are asked for again', async (t) => {
      const { nacos, watcher } = await start(t)
      nacos.set('users', [nacosInstance(8001)])
      await watcher.watch(['users'])
      nacos.set('users', [nacosInstance(8001), nacosInstance(8002)])
      await watcher.becomes('users', '127.0.0.1:8001*1 127.0.0.1:8002*1')
      nacos.set('users', [])
      await watcher.becomes('users', '')
    })

    test('are told after a login, which is made once and again when it is over', async (t) => {
      const user = { username: 'nacos', password: 'pass&word' }
      const { nacos, watcher } = await start(t, user, { user })
      nacos.set('users', [nacosInstance(8001)])
      nacos.set('orders', [nacosInstance(8002)])
      await watcher.watch(['users', 'orders'])
      assert.deepEqual(
        [watcher.nodes('users'), watcher.nodes('orders')],
        ['127.0.0.1:8001*1', '127.0.0.1:8002*1'],
      )
      await nacos.requests(8)
      assert.equal(nacos.logins, 1)
      nacos.forgetTokens()
      nacos.set('users', [nacosInstance(8003)])
      await watcher.becomes('users', '127.0.0.1:8003*1')
      assert.equal(nacos.logins, 2)
      assert.equal(watcher.discovery.status()[0]!.failures, 0)
    })
  })
}

suite('instances of Nacos', () => {
  test('have the weight that is set where they have none, and whole numbers for parts', async (t) => {
    const { nacos, watcher } = await following(t)
    nacos.set('none', [nacosInstance(8001, { weight: null }), nacosInstance(8002, { weight: 0 })])
    nacos.set('parts', [
      nacosInstance(8001, { weight: 0.5 }),
      nacosInstance(8002, { weight: 2 }),
      nacosInstance(8003, { weight: 0.001 }),
      nacosInstance(8004, { weight: 0 }),
    ])
    await watcher.watch(['none', 'parts'])
    assert.equal(watcher.nodes('none'), '127.0.0.1:8001*100 127.0.0.1:8002*0')
    assert.equal(
      watcher.nodes('parts'),
      '127.0.0.1:8001*50 127.0.0.1:8002*200 127.0.0.1:8003*1 127.0.0.1:8004*0',
    )
  })

  test('come from a namespace and a group', async (t) => {
    const { nacos, watcher } = await following(t)
    nacos.set('users', [nacosInstance(8001)])
    nacos.set('test_ns@@test_group@@users', [nacosInstance(8002)])
    await watcher.watch([{ service_name: 'users', namespace_id: 'test_ns', group_name: 'test_group' }])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8002*1')
  })

  test('of a registry with an id are named as in API7', async (t) => {
    const nacos = await startNacos(t)
    nacos.set('ns@@group@@users', [nacosInstance(8001)])
    nacos.set('a/b/c/d', [nacosInstance(8002)])
    const config: NacosSettings = {
      host: [nacos.url],
      prefix: '/nacos/v1/',
      fetch_interval: 30,
      weight: 100,
      timeout: { connect: 2000, send: 2000, read: 5000 },
    }
    const watcher = watchNodes(t, [
      { type: 'nacos', id: 'east', config },
      { type: 'nacos', id: 'default', config },
    ])
    await watcher.watch(['east/ns/group/users', 'a/b/c/d'])
    assert.equal(watcher.nodes('east/ns/group/users'), '127.0.0.1:8001*1')
    assert.equal(watcher.nodes('a/b/c/d'), '127.0.0.1:8002*1')
  })

  test('may be chosen by metadata, and name another port for gRPC', async (t) => {
    const { nacos, watcher } = await following(t)
    nacos.set('users', [
      nacosInstance(8001, { metadata: { idc: 'shanghai', gRPC_port: '9001' } }),
      nacosInstance(8002, { metadata: { idc: 'hangzhou' } }),
    ])
    await watcher.watch([{ service_name: 'users', metadata: { idc: 'shanghai' }, grpc: true }])
    assert.equal(watcher.nodes('users'), '127.0.0.1:9001*1')
  })

  test('that cannot be used are left out and counted', async (t) => {
    const { nacos, watcher } = await following(t)
    nacos.set('users', [
      nacosInstance(8001),
      nacosInstance(0),
      nacosInstance(8002, { ip: '' }),
      nacosInstance(8003, { weight: -1 }),
      nacosInstance(8004, { weight: 'heavy' }),
      null,
    ])
    await watcher.watch(['users'])
    await nacos.requests(3)
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
    assert.deepEqual(
      watcher.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields.unusable),
      [5],
    )
  })

  test('are asked for once, whoever wants them', async (t) => {
    const { nacos, watcher } = await following(t, { fetch_interval: 30 })
    nacos.set('users', [nacosInstance(8001, { metadata: { idc: 'a' } })])
    await watcher.watch(['users', { service_name: 'users', metadata: { idc: 'a' } }])
    await watcher.watch(['users', { service_name: 'users', metadata: { idc: 'b' } }])
    assert.deepEqual(nacos.asked, [
      'GET /nacos/v1/ns/instance/list?healthyOnly=true&serviceName=users&namespaceId=public&groupName=DEFAULT_GROUP',
    ])
  })

  test('are signed for with the keys of Alibaba Cloud', async (t) => {
    const { nacos, watcher } = await following(t, { access_key: 'an-id', secret_key: 'a-secret' })
    nacos.set('users', [nacosInstance(8001)])
    await watcher.watch(['users'])
    const { searchParams: query } = new URL(nacos.asked[0]!.split(' ')[1]!, 'http://nacos')
    const data = query.get('data')!
    assert.match(data, /^\d+@@DEFAULT_GROUP@@users$/)
    assert.equal(query.get('ak'), 'an-id')
    assert.equal(query.get('signature'), createHmac('sha1', 'a-secret').update(data).digest('base64'))
  })
})

suite('logins at Nacos', () => {
  test('with a user and any password in the address', async (t) => {
    const user = { username: 'nacos', password: 'nacos!@#$%^&*()[]' }
    const nacos = await startNacos(t, { user })
    nacos.set('users', [nacosInstance(8001)])
    const watcher = watching(t, [nacos.url.replace('://', `://${user.username}:${user.password}@`)])
    await watcher.watch(['users'])
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
    assert.ok(
      nacos.asked.every((url) => !url.includes('password')),
      'no password in an address',
    )
    assert.match(nacos.bodies[0]!, /^username=nacos&password=nacos%21/)
  })

  test('are made anew before they expire', async (t) => {
    const user = { username: 'nacos', password: 'nacos' }
    const { nacos, watcher } = await following(t, user, { user, tokenTtl: 0.05 })
    nacos.set('users', [nacosInstance(8001)])
    await watcher.watch(['users'])
    while (nacos.logins < 3) await nacos.requests(nacos.asked.length + 1)
    assert.equal(watcher.discovery.status()[0]!.failures, 0)
  })

  test('that fail leave what was known, and no log line holds the password', async (t) => {
    const user = { username: 'nacos', password: 'an-old-password' }
    const { nacos, watcher } = await following(t, user, { user })
    nacos.set('users', [nacosInstance(8001)])
    await watcher.watch(['users'])
    nacos.changePassword('another')
    while (watcher.discovery.status()[0]!.failures < 2) await nacos.requests(nacos.asked.length + 1)
    assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
    assert.deepEqual(Object.values(watcher.discovery.status()[0]!.problems), ['status 403 for the login'])
    assert.doesNotMatch(JSON.stringify(watcher.lines), /an-old-password/)
  })
})

suite('Nacos servers of a cluster', () => {
  test('take the place of one that does not answer', async (t) => {
    const [first, second] = [await startNacos(t), await startNacos(t)]
    for (const nacos of [first, second]) nacos.set('users', [nacosInstance(8001)])
    const watcher = watching(t, [first.url, second.url])
    await watcher.watch(['users'])
    const [used, other] = first.asked.length > 0 ? [first, second] : [second, first]
    used.stop()
    await other.requests(2)
    other.set('users', [nacosInstance(8002)])
    await watcher.becomes('users', '127.0.0.1:8002*1')
    assert.equal(watcher.discovery.status()[0]!.state, 'healthy')
    assert.ok(watcher.discovery.status()[0]!.problems[used.url])
  })

  type Breaker = NonNullable<Parameters<Awaited<ReturnType<typeof startNacos>>['breakWith']>[0]>
  const answers = (status: number, body: string): Breaker => {
    return (response) => {
      response.writeHead(status)
      response.end(body)
      return true
    }
  }
  const faults: Record<string, Breaker> = {
    'an error': answers(502, 'bad gateway'),
    'something that is not JSON': answers(200, '<html>'),
    'an answer without instances': answers(200, '{"name": "users"}'),
    'a connection that breaks off': (response) => {
      response.destroy()
      return true
    },
  }
  for (const [fault, breaker] of Object.entries(faults)) {
    test(`${fault}: what was known stands`, async (t) => {
      const { nacos, watcher } = await following(t)
      nacos.set('users', [nacosInstance(8001)])
      await watcher.watch(['users'])
      nacos.breakWith(breaker)
      while (watcher.discovery.status()[0]!.failures < 2) await nacos.requests(nacos.asked.length + 1)
      assert.equal(watcher.nodes('users'), '127.0.0.1:8001*1')
      nacos.breakWith(undefined)
      nacos.set('users', [nacosInstance(8002)])
      await watcher.becomes('users', '127.0.0.1:8002*1')
    })
  }

  test('a failure for one service does not touch the others', async (t) => {
    const { nacos, watcher } = await following(t)
    nacos.set('users', [nacosInstance(8001)])
    nacos.set('orders', [nacosInstance(8002)])
    nacos.breakWith((response, request) => {
      if (!request.url!.includes('serviceName=orders')) return false
      response.writeHead(500).end()
      return true
    })
    await watcher.watch(['users', 'orders'])
    assert.deepEqual([watcher.nodes('users'), watcher.nodes('orders')], ['127.0.0.1:8001*1', undefined])
    nacos.breakWith(undefined)
    await watcher.becomes('orders', '127.0.0.1:8002*1')
  })

  test('a service that nobody names any more is not asked about', async (t) => {
    const { nacos, watcher } = await following(t)
    await watcher.watch(['users', 'orders'])
    await watcher.watch(['orders'])
    const before = nacos.asked.length
    await nacos.requests(before + 5)
    assert.ok(nacos.asked.slice(before + 1).every((url) => url.includes('orders')))
  })
})
