/** Listeners come and go with the configuration of a running gateway with two threads; what is open elsewhere does not notice. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { after, before, suite, test } from 'node:test'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { talk, tcpServer } from '../harness/stream-engine.ts'

suite('listeners of a running gateway', () => {
  let gateway: RunningGateway
  let echo: Awaited<ReturnType<typeof tcpServer>>
  const origin = http.createServer((request, response) => response.end(request.url))
  const configure = (listeners: readonly string[]) => `
gateway: { workers: 2, control: { port: 0 }, metrics: { port: 0 }, listeners: [${listeners.join(', ')}] }
upstreams:
  - { id: web, nodes: { "127.0.0.1:${(origin.address() as net.AddressInfo).port}": 1 } }
  - { id: echo, nodes: { "127.0.0.1:${echo.port}": 1 } }
routes: [{ id: all, uri: /*, upstream_id: web }]
stream_routes: [{ id: all, upstream_id: echo }]
`
  const web = (port: number) => `{ name: web, host: 127.0.0.1, port: ${port} }`
  const tcp = (name: string, port: number) =>
    `{ name: ${name}, protocol: tcp, host: 127.0.0.1, port: ${port} }`

  before(async () => {
    origin.listen(0, '127.0.0.1')
    await once(origin, 'listening')
    echo = await tcpServer((socket) => socket.pipe(socket))
    gateway = await startGateway((port) => configure([web(port)]))
  })
  after(async () => {
    await gateway?.stop()
    echo?.close()
    origin.close()
  })

  /** Saves it, and waits until the log says what became of it. */
  async function save(listeners: readonly string[], outcome: RegExp): Promise<void> {
    const from = gateway.output().length
    await writeFile(gateway.file, configure(listeners))
    const deadline = performance.now() + 20_000
    while (!outcome.test(gateway.output().slice(from))) {
      assert.ok(performance.now() < deadline, gateway.output().slice(from))
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const applied = /new configuration is in use/

  test('one that is added takes traffic, and one that is removed lets its sessions finish', async () => {
    const [first, second] = [await freePort(), await freePort()]
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const get = (path: string) =>
      new Promise<{ body: string; local: number }>((resolve, reject) => {
        http
          .get({ port: gateway.port, host: '127.0.0.1', path, agent }, (response) => {
            let body = ''
            const local = response.socket.localPort!
            response.on('data', (bytes) => {
              body += bytes
            })
            response.on('end', () => resolve({ body, local }))
          })
          .on('error', reject)
      })
    const before = await get('/1')
    await save([web(gateway.port), tcp('a', first)], applied)
    assert.equal(await talk(first, 'hello'), 'hello')
    await save([web(gateway.port), tcp('a', first), tcp('b', second)], applied)
    const session = net.connect(first, '127.0.0.1')
    session.write('still ')
    await once(session, 'data')

    await save([web(gateway.port), tcp('b', second)], applied)
    await assert.rejects(talk(first, 'x'), { code: 'ECONNREFUSED' })
    let seen = ''
    session.on('data', (bytes) => {
      seen += bytes
    })
    session.end('here')
    await once(session, 'close')
    assert.equal(seen, 'here')
    assert.equal(await talk(second, 'hello'), 'hello')
    assert.equal((await get('/2')).local, before.local, 'the connection of another listener stayed')
    agent.destroy()
  })

  test('one whose port is in use refuses the configuration, and what runs goes on', async () => {
    const taken = await tcpServer(() => {})
    const [free, stays] = [await freePort(), await freePort()]
    await save([web(gateway.port), tcp('stays', stays)], applied)
    await save([web(gateway.port), tcp('free', free), tcp('taken', taken.port)], /address already in use/)
    assert.equal(await talk(stays, 'hello'), 'hello')
    await assert.rejects(talk(free, 'x'), { code: 'ECONNREFUSED' })
    taken.close()
    assert.match(await readFile(gateway.file, 'utf8'), /taken/)
    await save([web(gateway.port), tcp('free', free)], applied)
    assert.equal(await talk(free, 'hello'), 'hello')
    await assert.rejects(talk(stays, 'x'), { code: 'ECONNREFUSED' })
  })

  test('one that changes what it speaks, or its port, is another one', async () => {
    const port = await freePort()
    await save([web(gateway.port), tcp('a', port)], applied)
    assert.equal(await talk(port, 'hello'), 'hello')
    await save([web(gateway.port), `{ name: a, host: 127.0.0.1, port: ${port} }`], applied)
    assert.match(
      await talk(port, 'GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1.1 200[\s\S]*\/3$/,
    )
    const other = await freePort()
    await save([web(gateway.port), tcp('a', other)], applied)
    assert.equal(await talk(other, 'hello'), 'hello')
    await assert.rejects(talk(port, 'x'), { code: 'ECONNREFUSED' })
  })
})
