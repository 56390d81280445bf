/** Limits that nodes share, with real Redis servers: killed, paused, failed over. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreAbsentError } from '../../src/policies/kit/limits/counter-store.ts'
import { LeasedStore } from '../../src/policies/kit/limits/leased-store.ts'
import { openRedis } from '../../src/policies/kit/limits/redis-client.ts'
import { RedisStore } from '../../src/policies/kit/limits/redis-store.ts'
import { type RedisConfig, redisTarget } from '../../src/policies/kit/limits/redis-target.ts'
import { SyncedStore } from '../../src/policies/kit/limits/synced-store.ts'
import { RedisServer, startCluster, startWatched, withoutRedis } from '../harness/redis-server.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }
const opened: RedisStore[] = []
after(() => {
  for (const store of opened) store.close()
})

function storeOf(config: RedisConfig): RedisStore {
  const store = new RedisStore({ target: redisTarget(config)!, log, open: openRedis })
  opened.push(store)
  return store
}

const single = ({ port }: RedisServer, more: Partial<RedisConfig> = {}) =>
  storeOf({ policy: 'redis', redis_host: '127.0.0.1', redis_port: port, ...more })

/** Asks until it succeeds; the test runner's own timeout bounds it. */
async function eventually<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch {
      await sleep(20)
    }
  }
}

const hour = 3_600_000

suite('one server', { skip: withoutRedis }, () => {
  let server: RedisServer
  before(async () => {
    server = await RedisServer.start()
  })
  after(() => server.stop())

  test('nodes that share a counter let exactly the limit pass', async () => {
    const stores = [
      single(server),
      single(server, { redis_timeout: 5000 }),
      single(server, { redis_timeout: 6000 }),
    ]
    const window = { limit: 100, windowMs: hour }
    const asked = Array.from({ length: 300 }, (_, index) => stores[index % 3]!.acquire('exact', window, 1))
    const granted = (await Promise.all(asked)).filter((counted) => counted.granted === 1)
    assert.equal(granted.length, 100)
    const { remaining, resetMs } = await stores[0]!.acquire('exact', window, 0)
    assert.equal(remaining, 0)
    assert.ok(resetMs > hour - 60_000 && resetMs <= hour)
  })

  test('a cost is counted whole, as far as there is room, or in any case', async () => {
    const store = single(server)
    const window = { limit: 10, windowMs: hour }
    assert.equal((await store.acquire('kinds', window, 7)).granted, 7)
    assert.equal((await store.acquire('kinds', window, 4)).granted, 0)
    assert.equal((await store.acquire('kinds', window, 5, 'some')).granted, 3)
    assert.deepEqual((await store.acquire('kinds', window, 2, 'forced')).remaining, 0)
    assert.equal(Number(await server.command('GET', 'kinds')), 12)
  })

  test('a counter without an end, or with one too far away, ends with its window', async () => {
    const store = single(server)
    await server.command('SET', 'endless', '5')
    assert.equal((await store.acquire('endless', { limit: 10, windowMs: 1000 }, 1)).remaining, 9)
    await server.command('SET', 'far', '5', 'PX', hour)
    const { remaining, resetMs } = await store.acquire('far', { limit: 10, windowMs: 1000 }, 1)
    assert.equal(remaining, 4)
    assert.ok(resetMs <= 1000)
    assert.ok(Number(await server.command('PTTL', 'far')) <= 1000)
  })

  test('a sliding window counts what still overlaps of the span before', async () => {
    const store = single(server)
    const window = { limit: 10, windowMs: hour }
    const now = Date.now()
    const span = Math.floor(now / hour)
    const rest = ((span + 1) * hour - now) / hour
    await server.command('HSET', 'slide', String(span - 1), '10', String(span - 5), '99')
    const counts = []
    for (let n = 0; n < 12; n++) counts.push((await store.slide('slide', window, 1)).granted)
    const passed = counts.filter((granted) => granted === 1).length
    assert.ok(Math.abs(passed - (10 - 10 * rest)) <= 1.01, `${passed} passed with ${rest} overlapping`)
    assert.equal(await server.command('HEXISTS', 'slide', String(span - 5)), passed > 0 ? 0 : 1)
  })

  test('a bucket drains, and is full for no longer than it can be', async () => {
    const store = single(server)
    const bucket = { perMs: 1 / hour, burst: 2 }
    const waits = []
    for (let n = 0; n < 4; n++) waits.push(await store.leak('bucket', bucket, 1))
    assert.deepEqual(
      waits.map((ms) => Math.round(ms / hour)),
      [0, 1, 2, -1],
    )
    await server.command('SET', 'bucket', '99999999999999999')
    assert.ok((await store.leak('bucket', bucket, 1)) >= -hour - 1, 'the clock of the server went back')
  })

  test('requests under way are counted until they leave', async () => {
    const store = single(server)
    assert.equal(await store.enter('conn', 'a', 2, hour), 1)
    assert.equal(await store.enter('conn', 'b', 2, hour), 2)
    assert.equal(await store.enter('conn', 'c', 2, hour), 0)
    await store.leave('conn', 'a')
    assert.equal(await store.enter('conn', 'c', 2, hour), 2)
  })

  test('long keys are hashed, and stay apart', async () => {
    const store = single(server)
    const window = { limit: 1, windowMs: hour }
    const long = `limit-count:route:1:abc:${'x'.repeat(5000)}`
    assert.equal((await store.acquire(`${long}1`, window, 1)).granted, 1)
    assert.equal((await store.acquire(`${long}2`, window, 1)).granted, 1)
    assert.equal((await store.acquire(`${long}1`, window, 1)).granted, 0)
    const keys = (await server.command('KEYS', 'limit-count:*')) as string[]
    assert.ok(keys.every((key) => key.length < 256))
  })

  test('scripts that the server forgot are sent again', async () => {
    const store = single(server)
    const window = { limit: 10, windowMs: hour }
    await store.acquire('forgotten', window, 1)
    await server.command('SCRIPT', 'FLUSH')
    assert.equal((await store.acquire('forgotten', window, 1)).remaining, 8)
  })

  test('databases are apart', async () => {
    const window = { limit: 1, windowMs: hour }
    assert.equal((await single(server, { redis_database: 1 }).acquire('db', window, 1)).granted, 1)
    assert.equal((await single(server, { redis_database: 2 }).acquire('db', window, 1)).granted, 1)
    assert.equal((await single(server, { redis_database: 1 }).acquire('db', window, 1)).granted, 0)
  })

  test('a database that is not there is an absence', async () => {
    const window = { limit: 1, windowMs: hour }
    const store = single(server, { redis_database: 999_999 })
    await assert.rejects(store.acquire('db', window, 1), /DB index is out of range/)
  })

  test('an idle connection is closed, and the next decision opens another', async () => {
    const store = single(server, { redis_keepalive_timeout: 1 })
    const window = { limit: 10, windowMs: hour }
    await store.acquire('idle', window, 1)
    await sleep(30)
    assert.equal((await store.acquire('idle', window, 1)).remaining, 8)
  })

  test('leases never let more pass than the limit, and ask once per lease', async () => {
    const inner = single(server)
    let asked = 0
    const counting = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'acquire') asked++
        const member = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const leased = [new LeasedStore(counting, 20), new LeasedStore(counting, 20)]
    const window = { limit: 100, windowMs: hour }
    let passed = 0
    for (let n = 0; n < 300; n++) passed += (await leased[n % 2]!.acquire('lease', window, 1)).granted
    assert.equal(passed, 100)
    assert.ok(asked <= 10, `${asked} questions`)
  })

  test('what was counted locally reaches the store', async () => {
    const synced = [new SyncedStore(single(server), 1e6), new SyncedStore(single(server), 1e6)]
    const window = { limit: 10, windowMs: hour }
    let passed = 0
    for (let n = 0; n < 8; n++) passed += (await synced[n % 2]!.acquire('sync', window, 1)).granted
    assert.equal(passed, 8)
    for (const store of synced) await store.sync()
    assert.equal(Number(await server.command('GET', 'sync')), 8)
    await synced[0]!.acquire('sync', window, 1)
    await synced[0]!.sync()
    for (let n = 0; n < 20; n++) passed += (await synced[0]!.acquire('sync', window, 1)).granted
    assert.equal(passed, 9)
  })
})

suite('a server that is away', { skip: withoutRedis }, () => {
  const window = { limit: 10, windowMs: hour }

  test('killed: decisions fail at once, and come back with it', async () => {
    const server = await RedisServer.start()
    try {
      const store = single(server)
      await store.acquire('k', window, 1)
      await server.kill()
      await assert.rejects(store.acquire('k', window, 1), StoreAbsentError)
      await assert.rejects(store.acquire('k', window, 1), /given a moment/)
      await server.start()
      assert.equal((await eventually(() => store.acquire('k', window, 1))).remaining, 9)
    } finally {
      await server.stop()
    }
  })

  test('paused: a decision takes no longer than its budget, and those after it do not wait', async () => {
    const server = await RedisServer.start()
    try {
      const store = single(server, { redis_timeout: 50 })
      await eventually(() => store.acquire('k', window, 1))
      server.pause()
      await assert.rejects(store.acquire('k', window, 1), /no answer within 50 ms/)
      await assert.rejects(store.acquire('k', window, 1), /given a moment/)
      server.resume()
      const { remaining } = await eventually(() => store.acquire('k', window, 1))
      assert.ok(remaining <= 8 && remaining >= 5)
    } finally {
      server.resume()
      await server.stop()
    }
  })

  test('a wrong password is an absence', async () => {
    const server = await RedisServer.start(['--requirepass', 'right'])
    try {
      await assert.rejects(
        single(server, { redis_password: 'wrong' }).acquire('k', window, 1),
        StoreAbsentError,
      )
      await assert.rejects(single(server).acquire('k', window, 1), StoreAbsentError)
      const user = { redis_username: 'default', redis_password: 'right' }
      assert.equal((await single(server, user).acquire('k', window, 1)).granted, 1)
    } finally {
      await server.stop()
    }
  })

  test('over TLS, and with a certificate that nobody vouches for when it is to be checked', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1']
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    execFileSync('openssl', ['req', '-x509', ...made, '-keyout', key, '-out', certificate, ...subject], {
      stdio: 'ignore',
    })
    const tls = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-auth-clients', 'no']
    const server = await RedisServer.start(['--port', '0', '--tls-port', 'PORT', ...tls])
    try {
      assert.equal((await single(server, { redis_ssl: true }).acquire('k', window, 1)).granted, 1)
      const checked = single(server, { redis_ssl: true, redis_ssl_verify: true })
      await assert.rejects(checked.acquire('k', window, 1), StoreAbsentError)
      await assert.rejects(single(server).acquire('k', window, 1), StoreAbsentError)
    } finally {
      await server.stop()
      await rm(folder, { recursive: true })
    }
  })

  test('nobody listens', async () => {
    const server = await RedisServer.start()
    const { port } = server
    await server.stop()
    const store = storeOf({ policy: 'redis', redis_host: '127.0.0.1', redis_port: port, redis_timeout: 500 })
    await assert.rejects(store.acquire('k', window, 1), StoreAbsentError)
  })
})

suite('a cluster', { skip: withoutRedis }, () => {
  let nodes: RedisServer[]
  before(async () => {
    nodes = await startCluster()
  })
  after(() => Promise.all(nodes.map((node) => node.stop())))

  test('every key has its node, and every decision is exact', async () => {
    const store = storeOf({
      policy: 'redis-cluster',
      redis_cluster_nodes: nodes.map(({ port }) => `127.0.0.1:${port}`),
      redis_cluster_name: 'test',
    })
    const window = { limit: 10, windowMs: hour }
    const keys = Array.from({ length: 30 }, (_, index) => `key${index}`)
    const asked = keys.flatMap((key) => Array.from({ length: 12 }, () => store.acquire(key, window, 1)))
    const granted = (await Promise.all(asked)).filter((counted) => counted.granted === 1)
    assert.equal(granted.length, 300)
    const spread = await Promise.all(nodes.map((node) => node.command('DBSIZE')))
    assert.ok(
      spread.every((keysOfNode) => Number(keysOfNode) > 0),
      `${spread}`,
    )
    assert.equal(await store.enter('conn', 'a', 1, hour), 1)
    assert.ok((await store.leak('bucket', { perMs: 1, burst: 1 }, 1)) >= 0)
    assert.equal((await store.slide('slide', window, 1)).granted, 1)
  })

  test('a node that is killed is an absence for the keys that it has', async () => {
    const store = storeOf({
      policy: 'redis-cluster',
      redis_cluster_nodes: nodes.map(({ port }) => `127.0.0.1:${port}`),
      redis_cluster_name: 'test',
      redis_timeout: 500,
    })
    const window = { limit: 10, windowMs: hour }
    await eventually(() => store.acquire('key1', window, 1))
    await nodes[0]!.kill()
    let absent = 0
    for (let n = 0; n < 30; n++) {
      const failed = await store.acquire(`key${n}`, window, 1).catch((error: Error) => error)
      if (failed instanceof StoreAbsentError) absent++
    }
    assert.ok(absent > 0)
  })
})

suite('sentinels', { skip: withoutRedis }, () => {
  test('after a failover decisions are made by the new master', async () => {
    const { master, replica, sentinel, stop } = await startWatched()
    try {
      const store = storeOf({
        policy: 'redis-sentinel',
        redis_sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
        redis_master_name: 'main',
      })
      const window = { limit: 10, windowMs: hour }
      assert.equal((await eventually(() => store.acquire('k', window, 1))).remaining, 9)
      await eventually(async () => {
        if ((await replica.command('GET', 'k')) === null) throw new Error('not replicated yet')
      })
      await master.kill()
      const { remaining } = await eventually(() => store.acquire('k', window, 1))
      assert.equal(remaining, 8, 'the new master knows what the old one counted')
    } finally {
      await stop()
    }
  })
})
