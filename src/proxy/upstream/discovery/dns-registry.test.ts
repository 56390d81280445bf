import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { servfail, startDnsServer, type Zone } from '../../../../test/harness/dns-server.ts'
import { watchNodes } from '../../../../test/harness/node-watcher.ts'
import type { DnsSettings } from '../../../config/discovery.ts'

const apisixOrder = ['last', 'SRV', 'A', 'AAAA', 'CNAME'] as const

async function following(t: TestContext, zone: Zone, settings: Partial<DnsSettings> = {}) {
  const server = await startDnsServer(t, zone)
  const config = { servers: [server.address], order: apisixOrder, ...settings }
  return { server, watcher: watchNodes(t, { type: 'dns', id: 'default', config }) }
}

/** The records with which APISIX tests its own. */
const records: Zone = {
  'sd.test.local': { a: ['127.0.0.2', '127.0.0.1'], ttl: 300 },
  'ipv6.sd.test.local': { aaaa: ['::1'], ttl: 300 },
  'mix.sd.test.local': { a: ['127.0.0.1'], aaaa: ['::1'], ttl: 300 },
  'a.test.local': { a: ['127.0.0.1'], ttl: 300 },
  'b.test.local': { a: ['127.0.0.2'], ttl: 300 },
  'c.test.local': { a: ['127.0.0.3', '127.0.0.4'], ttl: 300 },
  'six.test.local': { aaaa: ['fd00::7'], ttl: 300 },
  '_sip._tcp.srv.test.local': {
    srv: [
      { priority: 10, weight: 60, port: 1980, target: 'a.test.local' },
      { priority: 10, weight: 20, port: 1981, target: 'b.test.local' },
    ],
  },
  'zero-weight.srv.test.local': {
    srv: [
      { priority: 10, weight: 60, port: 1980, target: 'a.test.local' },
      { priority: 10, weight: 0, port: 1980, target: 'b.test.local' },
    ],
  },
  'split-weight.srv.test.local': {
    srv: [
      { priority: 10, weight: 100, port: 1980, target: 'a.test.local' },
      { priority: 10, weight: 0, port: 1980, target: 'c.test.local' },
    ],
  },
  'priority.srv.test.local': {
    srv: [
      { priority: 10, weight: 60, port: 1979, target: 'a.test.local' },
      { priority: 20, weight: 60, port: 1980, target: 'six.test.local' },
    ],
  },
  'zero.srv.test.local': { srv: [{ priority: 10, weight: 60, port: 0, target: 'a.test.local' }] },
  'none.srv.test.local': { srv: [{ priority: 0, weight: 0, port: 0, target: '.' }] },
  'half.srv.test.local': {
    srv: [
      { priority: 10, weight: 60, port: 1980, target: 'a.test.local' },
      { priority: 10, weight: 60, port: 1980, target: 'nowhere.test.local' },
    ],
  },
  'srv-a.test.local': {
    srv: [{ priority: 10, weight: 60, port: 1980, target: 'a.test.local' }],
    a: ['127.0.0.9'],
    ttl: 300,
  },
  'alias.test.local': { cname: 'second.test.local' },
  'second.test.local': { cname: 'sd.test.local' },
  'loop.test.local': { cname: 'loop.test.local' },
}

/** What APISIX makes of the same records. */
const expected: readonly (readonly [name: string, nodes: string])[] = [
  ['sd.test.local', '127.0.0.1:*1 127.0.0.2:*1'],
  ['sd.test.local:1980', '127.0.0.1:1980*1 127.0.0.2:1980*1'],
  ['ipv6.sd.test.local:1980', '::1:1980*1'],
  ['mix.sd.test.local:1980', '127.0.0.1:1980*1'],
  ['_sip._tcp.srv.test.local', '127.0.0.1:1980*60@-10 127.0.0.2:1981*20@-10'],
  ['_sip._tcp.srv.test.local:1985', '127.0.0.1:1985*60@-10 127.0.0.2:1985*20@-10'],
  ['zero-weight.srv.test.local', '127.0.0.1:1980*60@-10 127.0.0.2:1980*1@-10'],
  ['split-weight.srv.test.local', '127.0.0.1:1980*200@-10 127.0.0.3:1980*1@-10 127.0.0.4:1980*1@-10'],
  ['priority.srv.test.local', '127.0.0.1:1979*60@-10 fd00::7:1980*60@-20'],
  ['zero.srv.test.local', '127.0.0.1:*60@-10'],
  ['srv-a.test.local', '127.0.0.1:1980*60@-10'],
  ['none.srv.test.local', ''],
  ['half.srv.test.local', '127.0.0.1:1980*60@-10'],
  ['alias.test.local', '127.0.0.1:*1 127.0.0.2:*1'],
  ['loop.test.local', ''],
  ['nowhere.test.local', ''],
]

suite('nodes of a service in DNS', () => {
  for (const [name, nodes] of expected) {
    test(`${name} has ${nodes || 'none'}`, async (t) => {
      const { watcher } = await following(t, records)
      await watcher.watch([name])
      assert.equal(watcher.nodes(name), nodes)
    })
  }

  test('the order of record types is a setting', async (t) => {
    const { watcher, server } = await following(t, records, { order: ['A', 'SRV'] })
    await watcher.watch(['srv-a.test.local'])
    assert.equal(watcher.nodes('srv-a.test.local'), '127.0.0.9:*1')
    assert.deepEqual(server.asked, ['srv-a.test.local A'])
  })

  test('the type that answered last is asked first', async (t) => {
    const { watcher, server } = await following(t, { 'a.test': { a: ['10.0.0.1'] } })
    await watcher.watch(['a.test'])
    await server.questions(4)
    assert.deepEqual(server.asked.slice(0, 4), ['a.test SRV', 'a.test A', 'a.test A', 'a.test A'])
  })

  test('an answer that is too long for UDP is asked for over TCP', async (t) => {
    const { watcher, server } = await following(t, {
      'a.test': { a: ['10.0.0.1'], ttl: 300, truncated: true },
    })
    await watcher.watch(['a.test'])
    assert.equal(watcher.nodes('a.test'), '10.0.0.1:*1')
    assert.ok(server.asked.includes('a.test A over tcp'))
  })

  test('a server that does not answer is passed over for the next', async (t) => {
    const dead = await startDnsServer(t, {})
    dead.stop()
    const server = await startDnsServer(t, { 'a.test': { a: ['10.0.0.1'], ttl: 300 } })
    const config = { servers: [dead.address, server.address], order: ['A'] as const }
    const watcher = watchNodes(t, { type: 'dns', id: 'default', config })
    await watcher.watch(['a.test'])
    assert.equal(watcher.nodes('a.test'), '10.0.0.1:*1')
  })

  test('a resolv.conf that is none is reported and does no harm', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'dns-registry-'))
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'resolv.conf')
    await writeFile(file, 'nameserver not-an-address\n')
    for (const path of [file, join(folder, 'missing')]) {
      const config = { resolv_conf: path, order: ['A'] as const }
      const watcher = watchNodes(t, { type: 'dns', id: 'default', config })
      await watcher.watch([])
      assert.equal(watcher.discovery.status()[0]!.failures, 1)
    }
  })

  test('servers and the search list of a resolv.conf', async (t) => {
    const server = await startDnsServer(t, { 'web.prod.test': { a: ['10.0.0.1'], ttl: 300 } })
    const [, port] = server.address.split(':')
    const folder = await mkdtemp(join(tmpdir(), 'dns-registry-'))
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'resolv.conf')
    await writeFile(file, `nameserver 127.0.0.1:${port}\nsearch other.test prod.test\n`)
    const config = { resolv_conf: file, order: ['A'] as const }
    const watcher = watchNodes(t, { type: 'dns', id: 'default', config })
    await watcher.watch(['web'])
    assert.equal(watcher.nodes('web'), '10.0.0.1:*1')
    assert.deepEqual(server.asked, ['web.other.test A', 'web.prod.test A'])
  })
})

suite('changes in DNS', () => {
  test('an answer that expired is asked for again, and only what is different is told', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1', '10.0.0.2'] } }
    const { watcher, server } = await following(t, zone)
    await watcher.watch(['a.test'])
    zone['a.test'] = { a: ['10.0.0.2', '10.0.0.1'] }
    await server.questions(server.asked.length + 2)
    zone['a.test'] = { a: ['10.0.0.3'] }
    await watcher.changesReach(2)
    assert.deepEqual(watcher.changes, ['a.test: 10.0.0.1:*1 10.0.0.2:*1', 'a.test: 10.0.0.3:*1'])
  })

  test('SRV records are asked for as often as their targets expire', async (t) => {
    const zone: Zone = {
      'srv.test': { srv: [{ priority: 1, weight: 1, port: 80, target: 'a.test' }], ttl: 86_400 },
      'a.test': { a: ['10.0.0.1'], ttl: 0 },
    }
    const { watcher } = await following(t, zone)
    await watcher.watch(['srv.test'])
    zone['srv.test'] = { srv: [{ priority: 1, weight: 1, port: 81, target: 'a.test' }], ttl: 86_400 }
    await watcher.becomes('srv.test', '10.0.0.1:81*1@-1')
  })

  test('what was known stands while servers fail', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1'] } }
    const { watcher, server } = await following(t, zone)
    await watcher.watch(['a.test'])
    zone['a.test'] = { code: servfail }
    await server.questions(server.asked.length + 12)
    assert.equal(watcher.nodes('a.test'), '10.0.0.1:*1')
    const [status] = watcher.discovery.status()
    assert.equal(status!.state, 'lost_connection')
    assert.ok(status!.failures >= 2)
    assert.match(status!.problems['a.test']!, /ESERVFAIL/)
    zone['a.test'] = { a: ['10.0.0.2'] }
    await watcher.becomes('a.test', '10.0.0.2:*1')
    assert.equal(watcher.discovery.status()[0]!.state, 'healthy')
    assert.deepEqual(
      watcher.lines.filter(({ level }) => level === 'warn').map(({ message }) => message),
      ['registry does not answer, what it said last stands'],
    )
  })

  test('a failure for one type does not replace its nodes by those of another', async (t) => {
    const zone: Zone = { ...records, 'srv-a.test.local': { ...records['srv-a.test.local'], ttl: 0 } }
    zone['a.test.local'] = { a: ['127.0.0.1'], ttl: 0 }
    const { watcher, server } = await following(t, zone)
    await watcher.watch(['srv-a.test.local'])
    zone['srv-a.test.local'] = { ...zone['srv-a.test.local'], failing: ['SRV'] }
    await server.questions(server.asked.length + 8)
    assert.equal(watcher.nodes('srv-a.test.local'), '127.0.0.1:1980*60@-10')
  })

  test('a target that cannot be looked up leaves the service as it was', async (t) => {
    const zone: Zone = {
      'srv.test': {
        srv: [
          { priority: 1, weight: 1, port: 80, target: 'a.test' },
          { priority: 1, weight: 1, port: 80, target: 'b.test' },
        ],
      },
      'a.test': { a: ['10.0.0.1'] },
      'b.test': { a: ['10.0.0.2'] },
    }
    const { watcher, server } = await following(t, zone)
    await watcher.watch(['srv.test'])
    zone['b.test'] = { code: servfail }
    await server.questions(server.asked.length + 12)
    assert.equal(watcher.nodes('srv.test'), '10.0.0.1:80*1@-1 10.0.0.2:80*1@-1')
  })

  test('a name that is gone loses its nodes, but not at the first word of it', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1'] } }
    const server = await startDnsServer(t, zone)
    const config = { servers: [server.address], order: ['A'] as const }
    const dns = { min_ttl: 5, max_ttl: 20, timeout: 5000 }
    const watcher = watchNodes(t, { type: 'dns', id: 'default', config }, { dns })
    await watcher.watch(['a.test'])
    const before = server.asked.length
    delete zone['a.test']
    await watcher.becomes('a.test', '')
    assert.ok(server.asked.length - before >= 3, server.asked.join())
    assert.equal(watcher.discovery.status()[0]!.state, 'healthy')
  })
})

suite('following services in DNS', () => {
  test('waits for the first answers, but not for ever', async (t) => {
    const zone: Zone = { 'slow.test': { silent: true }, 'a.test': { a: ['10.0.0.1'], ttl: 300 } }
    const { watcher } = await following(t, zone)
    await watcher.watch(['slow.test', 'a.test'], 300)
    assert.equal(watcher.nodes('slow.test'), undefined)
    assert.equal(watcher.nodes('a.test'), '10.0.0.1:*1')
  })

  test('asks only about the services of the last call', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1'], ttl: 300 }, 'b.test': { a: ['10.0.0.2'], ttl: 300 } }
    const { watcher, server } = await following(t, zone, { order: ['A'] })
    await watcher.watch(['a.test'])
    await watcher.watch(['a.test', 'b.test'])
    await watcher.watch(['b.test'])
    assert.deepEqual(server.asked, ['a.test A', 'b.test A'])
    assert.deepEqual(watcher.changes, ['a.test: 10.0.0.1:*1', 'b.test: 10.0.0.2:*1', 'a.test: forgotten'])
    assert.equal(watcher.nodes('a.test'), undefined)
  })

  test('a registry that is set up differently is asked anew; until then what was known stands', async (t) => {
    const first = await startDnsServer(t, { 'a.test': { a: ['10.0.0.1'], ttl: 300 } })
    const zone: Zone = { 'a.test': { silent: true } }
    const second = await startDnsServer(t, zone)
    const settings = (address: string) =>
      ({ type: 'dns', id: 'default', config: { servers: [address], order: ['A'] } }) as const
    const watcher = watchNodes(t, settings(first.address), {
      dns: { min_ttl: 20, max_ttl: 60_000, timeout: 60 },
    })
    await watcher.watch(['a.test'])
    watcher.reconfigure([settings(second.address)])
    await watcher.watch(['a.test'])
    await second.questions(2)
    assert.equal(watcher.nodes('a.test'), '10.0.0.1:*1')
    zone['a.test'] = { a: ['10.0.0.2'], ttl: 300 }
    await watcher.becomes('a.test', '10.0.0.2:*1')
    assert.equal(first.asked.length, 1)
  })

  test('a registry that is gone takes its nodes along', async (t) => {
    const { watcher } = await following(t, { 'a.test': { a: ['10.0.0.1'], ttl: 300 } })
    await watcher.watch(['a.test'])
    watcher.reconfigure([])
    await watcher.watch(['a.test'])
    assert.equal(watcher.nodes('a.test'), '')
    assert.deepEqual(watcher.discovery.status(), [])
  })

  test('asks nothing more after its end', async (t) => {
    const { watcher, server } = await following(t, { 'a.test': { silent: true } }, { order: ['A'] })
    const settled = watcher.watch(['a.test'])
    await server.questions(1)
    watcher.discovery.close()
    await settled
    assert.equal(server.asked.length, 1)
  })
})
