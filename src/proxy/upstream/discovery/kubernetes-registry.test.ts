import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import {
  type ApiServerOptions,
  endpointsOf,
  slice,
  startKubernetes,
} from '../../../../test/harness/kubernetes-server.ts'
import { watchNodes } from '../../../../test/harness/node-watcher.ts'
import type { KubernetesSettings } from '../../../config/discovery.ts'

async function following(
  t: TestContext,
  more: Partial<KubernetesSettings> = {},
  options: ApiServerOptions = {},
) {
  const server = await startKubernetes(t, options)
  const config: KubernetesSettings = {
    service: { schema: 'http', host: '127.0.0.1', port: server.port },
    client: { token: 'a-token' },
    namespace_selector: {},
    label_selector: '',
    default_weight: 50,
    watch_endpoint_slices: true,
    ...more,
  }
  return { server, watcher: watchNodes(t, { type: 'kubernetes', id: 'default', config }) }
}

/** Lists and watches that were asked for, without what is random in them. */
const questions = (asked: readonly string[]) => asked.map((url) => url.replace(/&timeoutSeconds=\d+/, ''))

suite('nodes of a service in Kubernetes', () => {
  test('are the ready endpoints of all its slices, with the weight that is set', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.2', '10.0.0.1'], { name: 'http', port: 8080 }))
    server.put(slice('users-b', ['10.0.0.3'], { name: 'http', port: 8080 }))
    server.put(slice('orders-a', ['10.0.0.9'], { name: 'http', port: 8080 }, { service: 'orders' }))
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:8080*50 10.0.0.2:8080*50 10.0.0.3:8080*50')
    assert.deepEqual(questions(server.asked).slice(0, 1), [
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?limit=500&labelSelector=kubernetes.io/service-name in (users)',
    ])
  })

  test('are ready, unless it is said that they are not', async (t) => {
    const { server, watcher } = await following(t)
    const endpoints = [
      { addresses: ['10.0.0.1'], conditions: { ready: true, serving: true, terminating: false } },
      { addresses: ['10.0.0.2'], conditions: { ready: false, serving: true, terminating: true } },
      { addresses: ['10.0.0.3', '10.0.0.4'], conditions: {} },
      { addresses: ['10.0.0.5'] },
    ]
    server.put(slice('users-a', [], { name: 'http', port: 80 }, { endpoints }))
    await watcher.watch(['default/users:http'])
    assert.equal(
      watcher.nodes('default/users:http'),
      '10.0.0.1:80*50 10.0.0.3:80*50 10.0.0.4:80*50 10.0.0.5:80*50',
    )
  })

  test('belong to a port, by its name or, without one, by its number', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 8080 }))
    server.put(slice('plain-a', ['10.0.0.2'], { port: 9090 }, { service: 'plain' }))
    const names = [
      'default/users:http',
      'default/users:8080',
      'default/users:grpc',
      'default/plain:9090',
      'default/plain:',
    ]
    await watcher.watch(names)
    assert.deepEqual(
      names.map((name) => watcher.nodes(name)),
      ['10.0.0.1:8080*50', '', '', '10.0.0.2:9090*50', '10.0.0.2:9090*50'],
    )
  })

  test('are told once, while an endpoint moves from slice to slice', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    server.put(slice('users-b', ['10.0.0.1'], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
  })

  test('come from Endpoints where slices are not asked for', async (t) => {
    const { server, watcher } = await following(t, { watch_endpoint_slices: false, default_weight: 7 })
    server.put(endpointsOf('users', ['10.0.0.2', '10.0.0.1'], [{ name: 'p1', port: 5001 }, { port: 5002 }]))
    await watcher.watch(['default/users:p1', 'default/users:5002'])
    assert.equal(watcher.nodes('default/users:p1'), '10.0.0.1:5001*7 10.0.0.2:5001*7')
    assert.equal(watcher.nodes('default/users:5002'), '10.0.0.1:5002*7 10.0.0.2:5002*7')
    assert.deepEqual(questions(server.asked).slice(0, 1), ['/api/v1/namespaces/default/endpoints?limit=500'])
  })

  test('are listed page by page', async (t) => {
    const { server, watcher } = await following(t, {}, { pageSize: 2 })
    for (let i = 1; i <= 5; i++) server.put(slice(`users-${i}`, [`10.0.0.${i}`], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http')!.split(' ').length, 5)
    assert.deepEqual(
      server.asked.slice(0, 3).map((url) => /continue=\d+/.exec(url)?.[0]),
      [undefined, 'continue=2', 'continue=4'],
    )
  })

  test('are looked at through the label selector', async (t) => {
    const { server, watcher } = await following(t, { label_selector: 'tier=blue' })
    const blue = { labels: { tier: 'blue' } }
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }, blue))
    server.put(slice('users-b', ['10.0.0.2'], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
  })

  const selectors: [string, KubernetesSettings['namespace_selector'], string][] = [
    ['equal', { equal: 'ns-a' }, 'ns-a'],
    ['not_equal', { not_equal: 'ns-a' }, 'ns-b xns-ax'],
    ['match', { match: ['ns-[ab]', 'nothing'] }, 'ns-a ns-b'],
    ['not_match', { not_match: ['ns-b'] }, 'ns-a xns-ax'],
  ]
  for (const [name, selector, expected] of selectors) {
    test(`are those of namespaces that ${name} selects`, async (t) => {
      const { server, watcher } = await following(t, { namespace_selector: selector })
      const namespaces = ['ns-a', 'ns-b', 'xns-ax']
      for (const namespace of namespaces) {
        server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }, { namespace }))
      }
      await watcher.watch(namespaces.map((namespace) => `${namespace}/users:http`))
      const found = namespaces.filter((namespace) => watcher.nodes(`${namespace}/users:http`) !== '')
      assert.equal(found.join(' '), expected)
    })
  }

  test('names that no object can have are not asked for', async (t) => {
    const { server, watcher } = await following(t)
    await watcher.watch(['../secrets:http', 'default/a b:http', 'a%2f/b:http', 'default/..:http'])
    assert.deepEqual(server.asked, [])
  })
})

suite('a watch', () => {
  test('hears of what is added, changed and removed', async (t) => {
    const { server, watcher } = await following(t)
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '')
    await server.requests(2)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    await watcher.becomes('default/users:http', '10.0.0.1:80*50')
    server.put(slice('users-b', ['10.0.0.2'], { name: 'http', port: 80 }))
    await watcher.becomes('default/users:http', '10.0.0.1:80*50 10.0.0.2:80*50')
    server.put(slice('users-a', ['10.0.0.3'], { name: 'http', port: 80 }))
    await watcher.becomes('default/users:http', '10.0.0.2:80*50 10.0.0.3:80*50')
    server.remove('endpointslices', 'default', 'users-b')
    await watcher.becomes('default/users:http', '10.0.0.3:80*50')
    assert.match(
      server.asked[1]!,
      /^\/apis.*\?watch=true&allowWatchBookmarks=true&timeoutSeconds=2\d\d&resourceVersion=100&/,
    )
  })

  test('reads events wherever the stream is cut, also inside a character', async (t) => {
    const { server, watcher } = await following(t)
    await watcher.watch(['default/users:http'])
    while (server.watches === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const labels = { note: 'grün ☃' }
    const event = (type: string, address: string, resourceVersion: string) => {
      const object = slice('users-a', [address], { name: 'http', port: 80 }, { labels })
      object.metadata.resourceVersion = resourceVersion
      return `${JSON.stringify({ type, object })}\n`
    }
    const bytes = Buffer.from(event('ADDED', '10.0.0.1', '200') + event('MODIFIED', '10.0.0.2', '201'))
    for (let at = 0; at < bytes.length; at += 7) {
      server.write(bytes.subarray(at, at + 7))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await watcher.becomes('default/users:http', '10.0.0.2:80*50')
    assert.deepEqual(watcher.changes, [
      'default/users:http: ',
      'default/users:http: 10.0.0.1:80*50',
      'default/users:http: 10.0.0.2:80*50',
    ])
  })

  test('that ends in time is taken up where it was, without a list', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    await server.requests(2)
    const version = server.bookmark()
    server.endWatches()
    await server.requests(3)
    assert.match(server.asked[2]!, new RegExp(`watch=true.*&resourceVersion=${version}&`))
    server.put(slice('users-a', ['10.0.0.2'], { name: 'http', port: 80 }))
    await watcher.becomes('default/users:http', '10.0.0.2:80*50')
    assert.equal(watcher.discovery.status()[0]!.failures, 0)
  })

  for (const tellThem of [true, false]) {
    test(`that is too far behind begins with a list (${tellThem ? 'an event' : 'the status'} 410)`, async (t) => {
      const { server, watcher } = await following(t)
      server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
      server.put(slice('users-b', ['10.0.0.2'], { name: 'http', port: 80 }))
      await watcher.watch(['default/users:http'])
      await server.requests(2)
      server.forgetHistory({ tellThem })
      if (!tellThem) server.endWatches()
      await server.requests(tellThem ? 4 : 5)
      const lists = server.asked.filter((url) => url.includes('limit='))
      assert.equal(lists.length, 2)
      server.put(slice('users-b', ['10.0.0.3'], { name: 'http', port: 80 }))
      await watcher.becomes('default/users:http', '10.0.0.1:80*50 10.0.0.3:80*50')
      assert.equal(watcher.discovery.status()[0]!.failures, 0)
    })
  }

  test('a list takes the place of what was known', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    server.put(slice('users-b', ['10.0.0.2'], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    await server.requests(2)
    server.stop()
    server.remove('endpointslices', 'default', 'users-a')
    server.forgetHistory({ tellThem: false })
    await server.restart()
    await watcher.becomes('default/users:http', '10.0.0.2:80*50')
  })

  test('asks for no more than the services that are named, and for new ones when they come', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    server.put(slice('orders-a', ['10.0.0.2'], { name: 'http', port: 80 }, { service: 'orders' }))
    await watcher.watch(['default/users:http'])
    await watcher.watch(['default/users:http', 'default/orders:http'])
    assert.equal(watcher.nodes('default/orders:http'), '10.0.0.2:80*50')
    const lists = server.asked.filter((url) => url.includes('limit='))
    assert.deepEqual(
      lists.map((url) => /\(.*\)/.exec(url)?.[0]),
      ['(users)', '(orders,users)'],
    )
    await watcher.watch(['other/users:http'])
    while (server.watches > 1) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.ok(server.asked.at(-1)!.includes('/namespaces/other/'))
  })

  test('of Endpoints knows the other services of its namespace already', async (t) => {
    const { server, watcher } = await following(t, { watch_endpoint_slices: false })
    server.put(endpointsOf('users', ['10.0.0.1'], [{ name: 'http', port: 80 }]))
    server.put(endpointsOf('orders', ['10.0.0.2'], [{ name: 'http', port: 80 }]))
    await watcher.watch(['default/users:http'])
    await watcher.watch(['default/users:http', 'default/orders:http'])
    assert.equal(watcher.nodes('default/orders:http'), '10.0.0.2:80*50')
    assert.equal(server.asked.filter((url) => url.includes('limit=')).length, 1)
  })
})

suite('tokens', () => {
  test('are read from their file for each connection, so that they may be replaced', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'kubernetes-'))
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'token')
    await writeFile(file, 'first\n')
    const { server, watcher } = await following(t, { client: { token_file: file } }, { token: 'first' })
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    await server.requests(2)
    server.expect('second')
    server.endWatches()
    while (watcher.discovery.status()[0]!.failures === 0)
      await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
    await writeFile(file, 'second')
    server.put(slice('users-a', ['10.0.0.2'], { name: 'http', port: 80 }))
    await watcher.becomes('default/users:http', '10.0.0.2:80*50')
    assert.equal(watcher.discovery.status()[0]!.state, 'healthy')
  })

  test('never stand in a line of log', async (t) => {
    const { watcher } = await following(t, { client: { token: 'a-wrong-token' } }, { token: 'right' })
    await watcher.watch(['default/users:http'])
    assert.ok(watcher.lines.some(({ level }) => level === 'warn'))
    assert.doesNotMatch(JSON.stringify(watcher.lines), /a-wrong-token/)
  })

  test('that cannot be read are a failure that says so', async (t) => {
    const { watcher, server } = await following(t, {
      service: { schema: 'https', host: '127.0.0.1', port: 1, ssl_verify: false },
      client: { token_file: join(tmpdir(), 'no-such-token') },
    })
    await watcher.watch(['default/users:http'])
    assert.deepEqual(Object.values(watcher.discovery.status()[0]!.problems), [
      'the token cannot be read (ENOENT)',
    ])
    assert.deepEqual(server.asked, [])
  })
})

suite('an API server that misbehaves', () => {
  type Breaker = NonNullable<Parameters<Awaited<ReturnType<typeof startKubernetes>>['breakWith']>[0]>
  const faults: Record<string, Breaker> = {
    'an error': (response) => {
      response.writeHead(500)
      response.end('boom')
      return true
    },
    'another kind of list': (response) => {
      response.end('{"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []}')
      return true
    },
    'something that is not JSON': (response) => {
      response.end('<html>\n')
      return true
    },
    'an error as event': (response, watch) => {
      if (watch) response.end('{"type": "ERROR", "object": {"kind": "Status", "code": 500}}\n')
      else response.writeHead(503).end()
      return true
    },
    'an event without object': (response, watch) => {
      if (watch) response.end('{"type": "ADDED"}\n')
      else response.writeHead(503).end()
      return true
    },
    'a connection that breaks off': (response) => {
      response.writeHead(200)
      response.write('{"kind"')
      setImmediate(() => response.destroy())
      return true
    },
  }
  for (const [fault, breaker] of Object.entries(faults)) {
    test(`${fault}: what was known stands`, async (t) => {
      const { server, watcher } = await following(t)
      server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
      await watcher.watch(['default/users:http'])
      await server.requests(2)
      server.breakWith(breaker)
      server.endWatches()
      while (watcher.discovery.status()[0]!.failures < 2)
        await new Promise((resolve) => setTimeout(resolve, 5))
      assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
      assert.equal(watcher.discovery.status()[0]!.state, 'lost_connection')
      server.breakWith(undefined)
      server.put(slice('users-a', ['10.0.0.2'], { name: 'http', port: 80 }))
      await watcher.becomes('default/users:http', '10.0.0.2:80*50')
      assert.equal(watcher.discovery.status()[0]!.state, 'healthy')
    })
  }

  test('a list that breaks off between its pages changes nothing', async (t) => {
    const { server, watcher } = await following(t, {}, { pageSize: 1 })
    for (let i = 1; i <= 3; i++) server.put(slice(`users-${i}`, [`10.0.0.${i}`], { name: 'http', port: 80 }))
    await watcher.watch(['default/users:http'])
    const all = watcher.nodes('default/users:http')
    let pages = 0
    server.breakWith((response, watch) => {
      if (watch || ++pages % 2 === 1) return false
      response.writeHead(410).end()
      return true
    })
    server.forgetHistory({ tellThem: true })
    while (watcher.discovery.status()[0]!.failures < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(watcher.nodes('default/users:http'), all)
    server.breakWith(undefined)
    server.remove('endpointslices', 'default', 'users-1')
    await watcher.becomes('default/users:http', '10.0.0.2:80*50 10.0.0.3:80*50')
  })

  test('objects that are of no use are passed over', async (t) => {
    const { server, watcher } = await following(t)
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    const odd = slice('users-b', [], { name: 'http', port: 80 })
    server.put({ ...odd, endpoints: null, ports: null })
    server.put({ ...slice('users-c', [], { name: 'http', port: 70_000 }) })
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
    await server.requests(2)
    server.write('{"type": "SOMETHING", "object": {"metadata": {"resourceVersion": "7"}}}\n')
    server.put(slice('users-a', ['10.0.0.2'], { name: 'http', port: 80 }))
    await watcher.becomes('default/users:http', '10.0.0.2:80*50')
  })
})

suite('the certificate of the API server', () => {
  async function certificate(t: TestContext) {
    const folder = await mkdtemp(join(tmpdir(), 'kubernetes-'))
    t.after(() => rm(folder, { recursive: true }))
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
    ]
    execFileSync('openssl', [...made, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
    const tls = { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
    const server = await startKubernetes(t, { tls })
    server.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
    return { server, cert }
  }

  const watching = (t: TestContext, service: KubernetesSettings['service']) => {
    const config: KubernetesSettings = {
      service,
      client: { token: 'a-token' },
      namespace_selector: {},
      label_selector: '',
      default_weight: 50,
      watch_endpoint_slices: true,
    }
    return watchNodes(t, { type: 'kubernetes', id: 'default', config })
  }

  test('is checked against the authorities that are named', async (t) => {
    const { server, cert } = await certificate(t)
    const watcher = watching(t, { schema: 'https', host: '127.0.0.1', port: server.port, ca_file: cert })
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
  })

  test('is refused when it is to be checked and nobody vouches for it', async (t) => {
    const { server } = await certificate(t)
    const watcher = watching(t, { schema: 'https', host: '127.0.0.1', port: server.port, ssl_verify: true })
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), undefined)
    assert.match(Object.values(watcher.discovery.status()[0]!.problems)[0]!, /SELF_SIGNED/)
    assert.deepEqual(server.asked, [])
  })

  test('is not looked at by default outside of a pod, as in APISIX, and the log says so', async (t) => {
    const { server } = await certificate(t)
    const watcher = watching(t, { schema: 'https', host: '127.0.0.1', port: server.port })
    await watcher.watch(['default/users:http'])
    assert.equal(watcher.nodes('default/users:http'), '10.0.0.1:80*50')
    assert.ok(
      watcher.lines.some(({ message }) => message.includes('certificate of the API server is not checked')),
    )
  })
})

test('several clusters, each with an id in front of the names', async (t) => {
  const [first, second] = [await startKubernetes(t), await startKubernetes(t)]
  const settings = (id: string, port: number) => ({
    type: 'kubernetes' as const,
    id,
    config: {
      service: { schema: 'http' as const, host: '127.0.0.1', port },
      client: { token: 'a-token' },
      namespace_selector: {},
      label_selector: '',
      default_weight: 50,
      watch_endpoint_slices: true,
    },
  })
  first.put(slice('users-a', ['10.0.0.1'], { name: 'http', port: 80 }))
  second.put(slice('users-a', ['10.0.0.2'], { name: 'http', port: 80 }))
  const watcher = watchNodes(t, [settings('first', first.port), settings('second', second.port)])
  await watcher.watch(['first/default/users:http', 'second/default/users:http', 'third/default/users:http'])
  assert.deepEqual(
    ['first', 'second', 'third'].map((id) => watcher.nodes(`${id}/default/users:http`)),
    ['10.0.0.1:80*50', '10.0.0.2:80*50', ''],
  )
})
