/** Limits on what all data threads together use of an upstream. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type http from 'node:http'
import net from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { startOrigins } from '../harness/origins.ts'

async function gatewayWith(
  t: TestContext,
  upstream: string,
  operators = 'enabled: false',
  workers = 3,
): Promise<RunningGateway> {
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: ${workers}
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { ${operators} }
  control: { enabled: false }
routes:
  - { id: 1, uri: /*, upstream: ${upstream} }
`,
  )
  t.after(() => gateway.stop())
  return gateway
}

/** Over a connection of its own, so that any thread may get it. @returns the status */
async function ask({ port }: RunningGateway, path = '/'): Promise<number> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, {
    headers: { connection: 'close' },
  })
  await body.dump()
  return statusCode
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await sleep(5)
}

/** Asks until it is let in: what ended is counted out a moment after its answer was seen. */
async function askUntilServed(gateway: RunningGateway, path = '/'): Promise<void> {
  while ((await ask(gateway, path)) !== 200) await sleep(5)
}

suite('a circuit breaker', () => {
  test('refuses a further pool of connections while all are in use, and takes the place of one that is not', async (t) => {
    const held: http.ServerResponse[] = []
    const origins = await startOrigins(t, 2, ({ url }, response) => {
      if (url === '/held') held.push(response)
      else response.end()
    })
    const nodes = origins.map(({ port }) => `"127.0.0.1:${port}": 1`).join(', ')
    const metrics = await freePort()
    const upstream = `{ nodes: { ${nodes} }, retries: 0, circuit_breaker: { max_pools: 1 } }`
    const gateway = await gatewayWith(t, upstream, `port: ${metrics}`, 1)
    for (let n = 0; n < 4; n++) assert.equal(await ask(gateway), 200)
    assert.deepEqual(
      origins.map(({ requests }) => requests),
      [2, 2],
    )
    const answer = ask(gateway, '/held')
    await until(() => held.length === 1)
    assert.equal(await ask(gateway), 503)
    const shown = await (await request(`http://127.0.0.1:${metrics}/metrics`)).body.text()
    assert.match(shown, /^sluice_upstream_breaker_current\{upstream="\/routes\/1",limit="pools"\} 1$/m)
    assert.match(
      shown,
      /^sluice_upstream_breaker_refused_total\{upstream="\/routes\/1",limit="pools"\} [1-9]/m,
    )
    held[0]!.end()
    assert.equal(await answer, 200)
    await askUntilServed(gateway)
  })

  test('refuses requests beyond max_requests, of whatever thread, and takes them again', async (t) => {
    const held: http.ServerResponse[] = []
    const [origin] = await startOrigins(t, 1, (_, response) => held.push(response))
    const metrics = await freePort()
    const gateway = await gatewayWith(
      t,
      `{ nodes: { "127.0.0.1:${origin!.port}": 1 }, circuit_breaker: { max_requests: 4 } }`,
      `port: ${metrics}`,
    )
    const answers = Array.from({ length: 4 }, () => ask(gateway))
    await until(() => held.length === 4)
    for (let n = 0; n < 6; n++) assert.equal(await ask(gateway), 503)
    assert.equal(origin!.requests, 4)
    const shown = await (await request(`http://127.0.0.1:${metrics}/metrics`)).body.text()
    assert.match(shown, /^sluice_upstream_breaker_current\{upstream="\/routes\/1",limit="requests"\} 4$/m)
    assert.match(
      shown,
      /^sluice_upstream_breaker_refused_total\{upstream="\/routes\/1",limit="requests"\} 6$/m,
    )
    for (const response of held.splice(0)) response.end()
    assert.deepEqual(await Promise.all(answers), [200, 200, 200, 200])
    const next = askUntilServed(gateway)
    await until(() => held.length === 1)
    held[0]!.end()
    await next
  })

  test('opens no connection beyond max_connections, and shares them among threads and endpoints', async (t) => {
    const held: http.ServerResponse[] = []
    const sockets = new Set<unknown>()
    const origins = await startOrigins(t, 2, (message, response) => {
      sockets.add(message.socket)
      message.socket.once('close', () => sockets.delete(message.socket))
      if (message.url === '/hold') held.push(response)
      else response.end()
    })
    const nodes = origins.map(({ port }) => `"127.0.0.1:${port}": 1`).join(', ')
    const gateway = await gatewayWith(t, `{ nodes: { ${nodes} }, circuit_breaker: { max_connections: 2 } }`)
    // Idle connections of one thread, or to one endpoint, never keep others from theirs.
    for (let n = 0; n < 30; n++) await askUntilServed(gateway)
    const answers = [askUntilServed(gateway, '/hold'), askUntilServed(gateway, '/hold')]
    await until(() => held.length === 2)
    assert.equal(await ask(gateway), 503)
    assert.ok(sockets.size <= 2, `${sockets.size} connections`)
    for (const response of held) response.end()
    await Promise.all(answers)
  })

  test('opens no more connections at a time than max_pending', async (t) => {
    const opening: net.Socket[] = []
    // It takes connections, and says nothing to the handshake.
    const mute = net.createServer((socket) => opening.push(socket.on('error', () => {})))
    mute.listen(0, '127.0.0.1')
    await once(mute, 'listening')
    t.after(() => mute.close())
    const { port } = mute.address() as net.AddressInfo
    const gateway = await gatewayWith(
      t,
      `{ scheme: https, retries: 0, nodes: { "127.0.0.1:${port}": 1 }, circuit_breaker: { max_pending: 2 } }`,
    )
    for (let round = 0; round < 2; round++) {
      const answers = [ask(gateway), ask(gateway)]
      await until(() => opening.length === 2)
      assert.deepEqual([await ask(gateway), await ask(gateway), opening.length], [503, 503, 2])
      for (const socket of opening.splice(0)) socket.destroy()
      assert.deepEqual(await Promise.all(answers), [502, 502])
    }
  })

  test('makes no retry beyond max_retries: the first failure stands', async (t) => {
    const [origin] = await startOrigins(t, 1)
    const dead = await freePort()
    const nodes = `{ "127.0.0.1:${dead}": 1000, "127.0.0.1:${origin!.port}": 1 }`
    const with0 = await gatewayWith(
      t,
      `{ type: chash, key: uri, nodes: ${nodes}, circuit_breaker: { max_retries: 0 } }`,
    )
    assert.equal(await ask(with0), 502)
    const with1 = await gatewayWith(
      t,
      `{ type: chash, key: uri, nodes: ${nodes}, circuit_breaker: { max_retries: 1 } }`,
    )
    for (let n = 0; n < 5; n++) await askUntilServed(with1)
  })

  test('forgets requests whose client left', async (t) => {
    const held: http.ServerResponse[] = []
    const [origin] = await startOrigins(t, 1, (message, response) => {
      if (message.url === '/hold') held.push(response)
      else response.end()
    })
    const gateway = await gatewayWith(
      t,
      `{ nodes: { "127.0.0.1:${origin!.port}": 1 }, circuit_breaker: { max_requests: 1, max_connections: 1 } }`,
    )
    for (let n = 0; n < 5; n++) {
      // The request before may still be counted: then this one is refused, and asks again.
      while (held.length === n) {
        const client = net.connect(gateway.port, '127.0.0.1')
        let refused = false
        client.on('data', () => {
          refused = true
        })
        client.write('GET /hold HTTP/1.1\r\nHost: a\r\n\r\n')
        await until(() => refused || held.length > n)
        client.resetAndDestroy()
      }
      await askUntilServed(gateway)
    }
  })
})
