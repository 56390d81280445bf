import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { servfail, startDnsServer, type Zone } from '../../../test/harness/dns-server.ts'
import type { Log } from '../../telemetry/log.ts'
import { Resolver } from './resolver.ts'

const silence: Log = { debug() {}, info() {}, warn() {}, error() {} }

async function resolver(
  t: TestContext,
  zone: Zone,
  limits: Partial<{ min_ttl: number; max_ttl: number; timeout: number }> = {},
  options: { lookup?: (host: string) => Promise<string[]>; hosts?: string } = {},
) {
  const server = await startDnsServer(t, zone)
  const folder = await mkdtemp(join(tmpdir(), 'resolver-'))
  t.after(() => rm(folder, { recursive: true }))
  const hostsFile = join(folder, 'hosts')
  await writeFile(hostsFile, options.hosts ?? '')
  const instance = new Resolver({ min_ttl: 20, max_ttl: 60_000, timeout: 5000, ...limits }, silence, {
    servers: [server.address],
    lookup: options.lookup ?? (async () => []),
    hostsFile,
  })
  t.after(() => instance.close())
  const changes: string[] = []
  const changed = new EventTarget()
  instance.onChange((host, addresses) => {
    changes.push(`${host}: ${addresses.join(' ')}`)
    changed.dispatchEvent(new Event('change'))
  })
  return {
    resolver: instance,
    server,
    changes,
    async changesReach(count: number) {
      while (changes.length < count) await once(changed, 'change')
    },
  }
}

suite('the resolver', () => {
  test('knows the addresses of its names when watching has settled', async (t) => {
    const { resolver: names } = await resolver(t, {
      'two.test': { a: ['10.0.0.2', '10.0.0.1'], ttl: 300 },
      'six.test': { aaaa: ['fd00::7'], ttl: 300 },
      'both.test': { a: ['10.0.0.3'], aaaa: ['fd00::8'], ttl: 300 },
    })
    await names.watch(new Set(['two.test', 'six.test', 'both.test', 'none.test', '127.0.0.1', '::1']))
    assert.deepEqual(
      new Map(names.addresses()),
      new Map([
        ['two.test', ['10.0.0.1', '10.0.0.2']],
        ['six.test', ['fd00::7']],
        ['both.test', ['10.0.0.3']],
        ['none.test', []],
      ]),
    )
  })

  test('never asks for literal addresses', async (t) => {
    const { resolver: names, server } = await resolver(t, {})
    await names.watch(new Set(['127.0.0.1', '::1']))
    assert.deepEqual(server.asked, [])
    assert.deepEqual(names.addresses(), [])
  })

  test('asks again when the record expires, and announces only what is different', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1', '10.0.0.2'] } }
    const { resolver: names, server, changes, changesReach } = await resolver(t, zone)
    await names.watch(new Set(['a.test']))
    zone['a.test'] = { a: ['10.0.0.2', '10.0.0.1'] }
    await server.questions(server.asked.length + 2)
    zone['a.test'] = { a: ['10.0.0.9'] }
    await changesReach(2)
    assert.deepEqual(changes, ['a.test: 10.0.0.1 10.0.0.2', 'a.test: 10.0.0.9'])
  })

  test('a record is kept no longer than the ceiling', async (t) => {
    const { resolver: names, server } = await resolver(
      t,
      { 'a.test': { a: ['10.0.0.1'], ttl: 86_400 } },
      { max_ttl: 20 },
    )
    await names.watch(new Set(['a.test']))
    await server.questions(3)
  })

  test('a record is kept no shorter than the floor', async (t) => {
    const zone: Zone = { 'long.test': { a: ['10.0.0.1'], ttl: 0 }, 'other.test': { a: ['10.0.0.1'], ttl: 0 } }
    const { resolver: names, server } = await resolver(t, zone, { min_ttl: 60_000 })
    await names.watch(new Set(['long.test']))
    await names.watch(new Set(['long.test', 'other.test']))
    assert.deepEqual(server.asked, ['long.test A', 'other.test A'])
  })

  test('keeps the last good addresses while the server fails', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1'] } }
    const { resolver: names, server, changes, changesReach } = await resolver(t, zone, { max_ttl: 40 })
    await names.watch(new Set(['a.test']))
    zone['a.test'] = { code: servfail }
    await server.questions(server.asked.length + 8)
    assert.deepEqual(names.addresses(), [['a.test', ['10.0.0.1']]])
    zone['a.test'] = { a: ['10.0.0.2'] }
    await changesReach(2)
    assert.deepEqual(changes, ['a.test: 10.0.0.1', 'a.test: 10.0.0.2'])
  })

  test('a name that is gone loses its addresses, but not at the first word of it', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1'] } }
    const { resolver: names, server, changes, changesReach } = await resolver(t, zone)
    await names.watch(new Set(['a.test']))
    const before = server.asked.length
    delete zone['a.test']
    await changesReach(2)
    assert.deepEqual(changes, ['a.test: 10.0.0.1', 'a.test: '])
    // Each look at an absent name is one question for A and one for AAAA.
    assert.ok(server.asked.length - before >= 6, server.asked.join())
  })

  test('waits no longer than the timeout, and announces an answer that comes later', async (t) => {
    const zone: Zone = { 'slow.test': { silent: true }, 'a.test': { a: ['10.0.0.1'], ttl: 300 } }
    const { resolver: names, changesReach } = await resolver(t, zone, { timeout: 300 })
    await names.watch(new Set(['slow.test', 'a.test']))
    assert.deepEqual(names.addresses(), [
      ['slow.test', []],
      ['a.test', ['10.0.0.1']],
    ])
    zone['slow.test'] = { a: ['10.0.0.5'], ttl: 300 }
    await changesReach(2)
    assert.deepEqual(new Map(names.addresses()).get('slow.test'), ['10.0.0.5'])
  })

  test('follows only the names of the last call, without asking again for those it knew', async (t) => {
    const zone: Zone = { 'a.test': { a: ['10.0.0.1'], ttl: 300 }, 'b.test': { a: ['10.0.0.2'], ttl: 300 } }
    const { resolver: names, server } = await resolver(t, zone)
    await names.watch(new Set(['a.test']))
    await names.watch(new Set(['a.test', 'b.test']))
    await names.watch(new Set(['b.test']))
    assert.deepEqual(names.addresses(), [['b.test', ['10.0.0.2']]])
    assert.deepEqual(server.asked, ['a.test A', 'b.test A'])
  })

  test('the hosts file comes before DNS, IPv4 before IPv6', async (t) => {
    const hosts =
      '# local names\n127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.1.1.1 Box.test # mine\n'
    const { resolver: names, server } = await resolver(t, {}, {}, { hosts })
    await names.watch(new Set(['localhost', 'box.test', 'ip6-localhost']))
    assert.deepEqual(names.addresses(), [
      ['localhost', ['127.0.0.1']],
      ['box.test', ['10.1.1.1']],
      ['ip6-localhost', ['::1']],
    ])
    assert.deepEqual(server.asked, [])
  })

  test('a name that DNS does not have is looked up as the system does', async (t) => {
    const lookup = async (host: string) => (host === 'short' ? ['fd00::1', '10.0.0.4'] : [])
    const { resolver: names } = await resolver(t, {}, {}, { lookup })
    await names.watch(new Set(['short']))
    assert.deepEqual(names.addresses(), [['short', ['10.0.0.4']]])
  })

  test('asks nothing more after its end', async (t) => {
    const { resolver: names, server } = await resolver(t, { 'a.test': { silent: true } })
    const settled = names.watch(new Set(['a.test']))
    await server.questions(1)
    names.close()
    await settled
    assert.deepEqual(names.addresses(), [])
    assert.equal(server.asked.length, 1)
  })
})
