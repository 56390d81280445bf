/** Balancing as clients see it: several data threads, real origins, endpoints that are not there. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import type http from 'node:http'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { crc32 } from '../../src/proxy/upstream/balancers/crc32.ts'
import { HashRing } from '../../src/proxy/upstream/balancers/hash-ring.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { startOrigins } from '../harness/origins.ts'

async function gatewayWith(
  t: TestContext,
  upstream: string,
  workers = 2,
  settings = '',
): Promise<RunningGateway> {
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: ${workers}
  ${settings}
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { enabled: false }
routes:
  - id: 1
    uri: /*
    upstream: ${upstream}
`,
  )
  t.after(() => gateway.stop())
  return gateway
}

interface Answer {
  status: number
  body: string
  /** `X-APISIX-Upstream-Status`. */
  upstreamStatus: string | undefined
}

/** Over a connection of its own, so that any thread may get it. */
async function ask(
  { port }: RunningGateway,
  path = '/',
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await request(`http://127.0.0.1:${port}${path}`, {
    headers: { connection: 'close', ...headers },
  })
  const upstreamStatus = response.headers['x-apisix-upstream-status'] as string | undefined
  return { status: response.statusCode, body: await response.body.text(), upstreamStatus }
}

function page(title: string): string {
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`
}

suite('chash', () => {
  test('puts each key where the ring says, in every thread', async (t) => {
    const origins = await startOrigins(t, 3)
    const members = origins.map(({ port }) => ({ ringId: `127.0.0.1:${port}`, weight: 1 }))
    const nodes = members.map(({ ringId }) => `"${ringId}": 10`).join(', ')
    const gateway = await gatewayWith(t, `{ type: chash, hash_on: header, key: x-user, nodes: { ${nodes} } }`)
    const ring = new HashRing(members)
    for (let n = 0; n < 40; n++) {
      const user = `user-${n}`
      const expected = origins[ring.ownerOf(ring.find(crc32(user)))]!.port
      assert.equal((await ask(gateway, '/', { 'x-user': user })).body, String(expected), user)
    }
  })

  test('goes on along the ring when an endpoint is not there', async (t) => {
    const [origin] = await startOrigins(t, 1)
    const gateway = await gatewayWith(
      t,
      `{ type: chash, key: arg_id, nodes: { "127.0.0.1:${await freePort()}": 1000, "127.0.0.1:${origin!.port}": 1 } }`,
    )
    for (const id of [1, 2, 3]) {
      const { status, body } = await ask(gateway, `/?id=${id}`)
      assert.deepEqual([status, body], [200, String(origin!.port)])
    }
  })
})

test('chash with bounds: a key that is asked for by many spills over to the next on the ring', async (t) => {
  const held: http.ServerResponse[] = []
  const origins = await startOrigins(t, 3, (_, response) => held.push(response))
  const members = origins.map(({ port }) => ({ ringId: `127.0.0.1:${port}`, weight: 1 }))
  const nodes = members.map(({ ringId }) => `"${ringId}": 1`).join(', ')
  const gateway = await gatewayWith(
    t,
    `{ type: chash, hash_on: header, key: x-user, hash_balance_factor: 125, nodes: { ${nodes} } }`,
  )
  const ring = new HashRing(members)
  const owner = origins[ring.ownerOf(ring.find(crc32('everybody')))]!
  const answers: Promise<Answer>[] = []
  const ofOwner: number[] = []
  for (let n = 1; n <= 9; n++) {
    answers.push(ask(gateway, '/', { 'x-user': 'everybody' }))
    while (held.length < n) await sleep(5)
    ofOwner.push(owner.requests)
  }
  // Never more than ceil(1.25 x requests under way / 3), the one that comes among them.
  assert.deepEqual(ofOwner, [1, 1, 2, 2, 3, 3, 3, 4, 4])
  for (const response of held.splice(0)) response.end()
  await Promise.all(answers)
})

test('slow start: a node that joins takes a tenth of its turns at first', async (t) => {
  const origins = await startOrigins(t, 3)
  const [one, two, joining] = origins.map(({ port }) => `"127.0.0.1:${port}": 1`)
  const gateway = await gatewayWith(t, `{ slow_start: 3600, nodes: { ${one}, ${two} } }`)
  for (let n = 0; n < 10; n++) await ask(gateway)
  const text = await readFile(gateway.file, 'utf8')
  await writeFile(gateway.file, text.replace(`${two}`, `${two}, ${joining}`))
  while (origins[2]!.requests === 0) await ask(gateway)
  const before = origins.map(({ requests }) => requests)
  for (let n = 0; n < 300; n++) await ask(gateway)
  const [ofOne, ofTwo, ofJoining] = origins.map(({ requests }, n) => requests - before[n]!)
  assert.ok(ofJoining! >= 5 && ofJoining! <= 20, `${ofJoining} of 300`)
  assert.ok(Math.abs(ofOne! - ofTwo!) <= 20, `${ofOne} and ${ofTwo}`)
})

suite('all threads together', () => {
  test('take turns, exactly by weight', async (t) => {
    const origins = await startOrigins(t, 3)
    const weights = [3, 2, 1]
    const nodes = origins.map(({ port }, n) => `"127.0.0.1:${port}": ${weights[n]}`).join(', ')
    const gateway = await gatewayWith(t, `{ nodes: { ${nodes} } }`, 3)
    for (let n = 0; n < 12; n++) await ask(gateway)
    assert.deepEqual(
      origins.map(({ requests }) => requests),
      [6, 4, 2],
    )
  })

  test('know what is under way where: least_conn', async (t) => {
    const held: http.ServerResponse[] = []
    const origins = await startOrigins(t, 4, (_, response) => held.push(response))
    const nodes = origins.map(({ port }) => `"127.0.0.1:${port}": 1`).join(', ')
    const gateway = await gatewayWith(t, `{ type: least_conn, nodes: { ${nodes} } }`, 3)
    const answers: Promise<Answer>[] = []
    for (let n = 1; n <= 12; n++) {
      answers.push(ask(gateway))
      while (held.length < n) await sleep(5)
    }
    assert.deepEqual(
      origins.map(({ requests }) => requests),
      [3, 3, 3, 3],
    )
    for (const response of held) response.end()
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200)
  })

  test('find the fastest: ewma', async (t) => {
    let first = 0
    const origins = await startOrigins(t, 2, (_, response) => {
      const port = response.socket!.localPort!
      first ||= port
      setTimeout(() => response.end(), port === first ? 80 : 0)
    })
    const nodes = origins.map(({ port }) => `"127.0.0.1:${port}": 1`).join(', ')
    const gateway = await gatewayWith(t, `{ type: ewma, nodes: { ${nodes} } }`, 3)
    for (let n = 0; n < 12; n++) await ask(gateway)
    assert.deepEqual(
      origins.map(({ requests }) => requests).toSorted((a, b) => a - b),
      [1, 11],
    )
  })
})

suite('an upstream without an endpoint for the request', () => {
  const cases: [title: string, nodes: (port: number) => string, status: number][] = [
    ['no nodes', () => '[]', 503],
    ['only weight 0', (port) => `{ "127.0.0.1:${port}": 0, "127.0.0.2:${port}": 0 }`, 502],
  ]
  for (const type of ['roundrobin', 'chash, key: uri']) {
    for (const [title, nodes, status] of cases) {
      test(`${type}, ${title}: ${status}`, async (t) => {
        const [origin] = await startOrigins(t, 1)
        const gateway = await gatewayWith(t, `{ type: ${type}, nodes: ${nodes(origin!.port)} }`, 1)
        assert.equal((await ask(gateway)).status, status)
        assert.equal(origin!.requests, 0)
      })
    }
  }

  test('one node is used whatever its weight, as in APISIX', async (t) => {
    const [origin] = await startOrigins(t, 1)
    const gateway = await gatewayWith(t, `{ nodes: { "127.0.0.1:${origin!.port}": 0 } }`, 1)
    assert.equal((await ask(gateway)).status, 200)
  })

  test('more retries than nodes: each is tried once, then 502', async (t) => {
    const port = await freePort()
    const gateway = await gatewayWith(
      t,
      `{ retries: 5, nodes: { "127.0.0.1:${port}": 1, "127.0.0.2:${port}": 1 } }`,
      1,
    )
    assert.deepEqual(await ask(gateway), {
      status: 502,
      body: page('502 Bad Gateway'),
      upstreamStatus: '502, 502',
    })
  })
})

suite('what clients are told of upstreams', () => {
  test('every status, when the last one is from 500 on', async (t) => {
    const [origin] = await startOrigins(t, 1, (_, response) => response.writeHead(503).end())
    const gateway = await gatewayWith(
      t,
      `{ type: chash, key: uri, nodes: { "127.0.0.1:${await freePort()}": 1000, "127.0.0.1:${origin!.port}": 1 } }`,
      1,
    )
    const { status, upstreamStatus } = await ask(gateway)
    assert.deepEqual([status, upstreamStatus], [503, '502, 503'])
  })

  test('nothing of statuses below 500, unless that is set', async (t) => {
    const [origin] = await startOrigins(t, 1)
    const nodes = `{ nodes: { "127.0.0.1:${origin!.port}": 1 } }`
    assert.equal((await ask(await gatewayWith(t, nodes, 1))).upstreamStatus, undefined)
    const open = await gatewayWith(t, nodes, 1, 'forwarding: { show_upstream_status: true }')
    assert.equal((await ask(open)).upstreamStatus, '200')
  })

  test('504 for an upstream that is too slow, on the page of nginx', async (t) => {
    const [origin] = await startOrigins(t, 1, () => {})
    const gateway = await gatewayWith(
      t,
      `{ timeout: { connect: 1, send: 1, read: 0.1 }, nodes: { "127.0.0.1:${origin!.port}": 1 } }`,
      1,
    )
    assert.deepEqual(await ask(gateway), {
      status: 504,
      body: page('504 Gateway Time-out'),
      upstreamStatus: '504',
    })
  })

  test('502 when the time for retries is over', async (t) => {
    const origins = await startOrigins(t, 3, (request) => setTimeout(() => request.socket.destroy(), 60))
    const nodes = origins.map(({ port }) => `"127.0.0.1:${port}": 1`).join(', ')
    const gateway = await gatewayWith(t, `{ retries: 10, retry_timeout: 0.05, nodes: { ${nodes} } }`, 1)
    const { status, upstreamStatus } = await ask(gateway)
    assert.deepEqual([status, upstreamStatus], [502, '502'])
    assert.equal(
      origins.reduce((sum, { requests }) => sum + requests, 0),
      1,
    )
  })

  test('503 for names that lead nowhere; one that does is used alone', async (t) => {
    const [origin] = await startOrigins(t, 1)
    const dns = 'dns: { timeout: 500ms }'
    const lost = await gatewayWith(t, '{ nodes: { "no-such-host.invalid:80": 1 } }', 1, dns)
    assert.deepEqual(await ask(lost), {
      status: 503,
      body: page('503 Service Temporarily Unavailable'),
      upstreamStatus: undefined,
    })
    const half = await gatewayWith(
      t,
      `{ nodes: { "no-such-host.invalid:80": 5, "127.0.0.1:${origin!.port}": 1 } }`,
      1,
      dns,
    )
    for (let n = 0; n < 3; n++) {
      const { status, upstreamStatus } = await ask(half)
      assert.deepEqual([status, upstreamStatus], [200, undefined])
    }
  })
})
