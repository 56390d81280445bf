/** Health as operators and clients see it: real endpoints that die and come back, several data threads. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { Agent, request } from 'undici'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

/** An endpoint that answers what the test says, and can be killed and brought back. */
class Endpoint {
  status = 200
  probeStatus = 200
  port = 0
  readonly received: string[] = []
  #server: http.Server | undefined

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  async listen(): Promise<void> {
    this.#server = http.createServer((incoming, response) => {
      const isProbe = incoming.url === '/status'
      if (!isProbe) this.received.push(String(incoming.headers['x-id']))
      response.statusCode = isProbe ? this.probeStatus : this.status
      incoming.resume().on('end', () => response.end(String(this.port)))
    })
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  async kill(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
}

async function endpoints(t: TestContext, count: number): Promise<Endpoint[]> {
  const list = Array.from({ length: count }, () => new Endpoint())
  await Promise.all(list.map((endpoint) => endpoint.listen()))
  t.after(() => Promise.all(list.map((endpoint) => endpoint.kill())))
  return list
}

interface Node {
  ip: string
  port: number
  status: string
  counter: Record<string, number>
  ejected?: boolean
  last_failure?: string | null
}

class Watched {
  readonly gateway: RunningGateway
  readonly #control: number
  readonly #metrics: number
  readonly #agent = new Agent({ connections: 64, pipelining: 0 })
  #ids = 0

  constructor(gateway: RunningGateway, control: number, metrics: number) {
    this.gateway = gateway
    this.#control = control
    this.#metrics = metrics
  }

  /** Over a connection of its own, so that any thread may get it. */
  async ask(method: 'GET' | 'POST' = 'GET') {
    const response = await request(`http://127.0.0.1:${this.gateway.port}/`, {
      method,
      dispatcher: this.#agent,
      headers: { connection: 'close', 'x-id': `r${this.#ids++}` },
    })
    return { status: response.statusCode, port: Number(await response.body.text()) }
  }

  /** @returns how many entries of each kind were cleared */
  async clear(parameters: string): Promise<Record<string, number>> {
    const response = await fetch(`http://127.0.0.1:${this.#control}/v1/state?${parameters}`, {
      method: 'DELETE',
    })
    return ((await response.json()) as { cleared: Record<string, number> }).cleared
  }

  async get(path: string, headers: Record<string, string> = {}) {
    const response = await fetch(`http://127.0.0.1:${this.#control}${path}`, { headers })
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      text: await response.text(),
    }
  }

  async explain(url: string): Promise<{ upstream: { all_used?: true; endpoints: { usable: boolean }[] } }> {
    const path = `http://127.0.0.1:${this.#control}/v1/explain`
    const response = await fetch(path, { method: 'POST', body: JSON.stringify({ url }) })
    return (await response.json()) as Awaited<ReturnType<Watched['explain']>>
  }

  async nodes(): Promise<Node[]> {
    return JSON.parse((await this.get('/v1/healthcheck/upstreams/u?verbose')).text).nodes
  }

  /** Waits until the endpoint has this status. */
  async until({ port }: Endpoint, status: string): Promise<Node> {
    for (;;) {
      const node = (await this.nodes()).find((candidate) => candidate.port === port)
      if (node?.status === status) return node
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async logged(message: string): Promise<void> {
    while (!this.gateway.output().includes(`"message":"${message}"`)) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async metric(line: RegExp): Promise<string | undefined> {
    const response = await fetch(`http://127.0.0.1:${this.#metrics}/metrics`)
    return line.exec(await response.text())?.[1]
  }

  async close(): Promise<void> {
    await this.#agent.close()
    await this.gateway.stop()
  }
}

async function started(t: TestContext, upstream: string): Promise<Watched> {
  const [control, metrics] = [await freePort(), await freePort()]
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  control: { port: ${control} }
  metrics: { port: ${metrics} }
routes: [{ id: all, uri: /*, upstream_id: u }]
upstreams: [{ id: u, ${upstream} }]
`,
  )
  const watched = new Watched(gateway, control, metrics)
  t.after(() => watched.close())
  return watched
}

const nodes = (list: Endpoint[]) => `nodes: { ${list.map(({ address }) => `"${address}": 1`).join(', ')} }`
const active = 'active: { http_path: /status, healthy: { successes: 1 }, unhealthy: { tcp_failures: 2 } }'

suite('active checks', { timeout: 60_000 }, () => {
  test('find out without any request, and let an endpoint come back', async (t) => {
    const [dead, alive] = (await endpoints(t, 2)) as [Endpoint, Endpoint]
    await dead.kill()
    const watched = await started(t, `${nodes([dead, alive])}, checks: { ${active} }`)
    const node = await watched.until(dead, 'unhealthy')
    assert.deepEqual(node.counter, { success: 0, http_failure: 0, tcp_failure: 2, timeout_failure: 0 })
    assert.equal(node.last_failure, 'probe: no connection')
    for (let i = 0; i < 20; i++) assert.deepEqual(await watched.ask(), { status: 200, port: alive.port })
    // Not one of them had to be sent twice.
    assert.equal(await watched.metric(/^sluice_upstream_connect_failures_total (.*)$/m), '0')
    assert.match(watched.gateway.output(), /"upstream":"upstream:u".*"message":"endpoint is unhealthy"/)

    await dead.listen()
    await watched.until(dead, 'healthy')
    const ports = await Promise.all(Array.from({ length: 40 }, () => watched.ask()))
    assert.ok(ports.some(({ port }) => port === dead.port))
    await watched.logged('endpoint is healthy again')
  })

  test('when no endpoint is healthy, all are used', async (t) => {
    const list = await endpoints(t, 2)
    for (const endpoint of list) endpoint.probeStatus = 500
    const watched = await started(
      t,
      `${nodes(list)}, checks: { active: { http_path: /status, unhealthy: { http_failures: 1 } } }`,
    )
    await Promise.all(list.map((endpoint) => watched.until(endpoint, 'unhealthy')))
    const answers = await Promise.all(Array.from({ length: 20 }, () => watched.ask()))
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    assert.deepEqual(new Set(answers.map(({ port }) => port)), new Set(list.map(({ port }) => port)))
    await watched.logged('too few endpoints are usable: all are used')
  })

  test('below the panic threshold all are used, and it is told', async (t) => {
    const list = await endpoints(t, 4)
    const [sick, ill, ailing] = list as [Endpoint, Endpoint, Endpoint]
    sick.probeStatus = 500
    const probes = 'http_path: /status, healthy: { successes: 1 }, unhealthy: { http_failures: 1 }'
    const watched = await started(t, `${nodes(list)}, panic_threshold: 50, checks: { active: { ${probes} } }`)
    const panics = async (wanted: string) => {
      while ((await panicking()) !== wanted) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const panicking = () => watched.metric(/^sluice_upstream_panicking\{name="\/upstreams\/u"\} (.*)$/m)
    const used = async () =>
      new Set((await Promise.all(Array.from({ length: 24 }, () => watched.ask()))).map(({ port }) => port))
    await watched.until(sick, 'unhealthy')
    await panics('0')
    assert.equal((await used()).has(sick.port), false)

    ill.probeStatus = 500
    ailing.probeStatus = 500
    await Promise.all([watched.until(ill, 'unhealthy'), watched.until(ailing, 'unhealthy')])
    await panics('1')
    assert.equal((await used()).size, 4)
    const explained = await watched.explain('/')
    assert.equal(explained.upstream.all_used, true)
    assert.deepEqual(
      explained.upstream.endpoints.map(({ usable }) => usable),
      [true, true, true, true],
    )

    ill.probeStatus = 200
    await watched.until(ill, 'healthy')
    await panics('0')
    assert.equal((await used()).size, 2)
  })
})

suite('passive checks', { timeout: 60_000 }, () => {
  test('what the requests of all threads tell makes one verdict, for all threads', async (t) => {
    const [failing, sound] = (await endpoints(t, 2)) as [Endpoint, Endpoint]
    const checks = `checks: { active: { healthy: { interval: 3600 }, unhealthy: { interval: 3600 } }, passive: { unhealthy: { http_statuses: [500], http_failures: 6 } } }`
    const watched = await started(t, `${nodes([failing, sound])}, ${checks}`)
    await watched.ask()
    failing.status = 500
    let failures = 0
    while ((await watched.nodes()).find(({ port }) => port === failing.port)?.status !== 'unhealthy') {
      const answers = await Promise.all(Array.from({ length: 4 }, () => watched.ask()))
      failures += answers.filter(({ status }) => status === 500).length
    }
    assert.ok(failures >= 6, `${failures} failures`)
    for (let i = 0; i < 40; i++) assert.deepEqual(await watched.ask(), { status: 200, port: sound.port })
    const node = await watched.until(failing, 'unhealthy')
    assert.equal(node.counter.http_failure, 6)
    assert.equal(node.last_failure, 'traffic: status 500')
  })

  test('an endpoint that dies under load costs at most the requests that it held', async (t) => {
    const list = await endpoints(t, 3)
    const [dying] = list as [Endpoint, Endpoint, Endpoint]
    const watched = await started(
      t,
      `${nodes(list)}, checks: { active: { http_path: /status, healthy: { interval: 3600 } }, passive: {} }`,
    )
    // Traffic counts only from a moment after the first request on.
    dying.status = 500
    const failuresOfDying = async () =>
      (await watched.nodes()).find(({ port }) => port === dying.port)?.counter.http_failure ?? 0
    while ((await failuresOfDying()) === 0) await watched.ask()
    dying.status = 200

    const clients = 12
    const answers: { status: number; begun: number }[] = []
    let running = true
    let begun = 0
    const load = Array.from({ length: clients }, async (_, client) => {
      while (running) {
        const mine = begun++
        const { status } = await watched.ask(client % 3 === 0 ? 'POST' : 'GET')
        answers.push({ status, begun: mine })
      }
    })
    const more = async (count: number) => {
      const wanted = answers.length + count
      while (answers.length < wanted) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const connectFailures = async () =>
      Number(await watched.metric(/^sluice_upstream_connect_failures_total (.*)$/m))
    await more(300)
    const firstOfDeath = begun - clients
    await dying.kill()
    const lastOfDeath = begun
    await more(300)
    await watched.until(dying, 'unhealthy')
    // Two failures to connect are the verdict; what was on its way in other requests comes on top.
    const failures = await connectFailures()
    assert.ok(failures <= 2 + clients, `${failures} failures to connect`)
    await more(300)
    assert.equal(await connectFailures(), failures)
    running = false
    await Promise.all(load)
    const failed = answers.filter(({ status }) => status !== 200)
    assert.deepEqual(
      failed.filter((answer) => answer.begun < firstOfDeath || answer.begun > lastOfDeath),
      [],
    )
    assert.ok(failed.length <= clients, `${failed.length} failed`)
  })
})

suite('outlier ejection', { timeout: 60_000 }, () => {
  test('takes a failing endpoint out for a while, and no more than allowed', async (t) => {
    const list = await endpoints(t, 3)
    const watched = await started(
      t,
      `${nodes(list)}, outlier_ejection: { consecutive_5xx: 3, base_ejection_time: 1, max_ejection_percent: 40 }`,
    )
    const [one, other, sound] = list as [Endpoint, Endpoint, Endpoint]
    one.status = 500
    other.status = 503
    while (Number(await watched.metric(/^sluice_upstream_ejections_total (.*)$/m)) < 1) await watched.ask()
    while (!(await watched.nodes()).some(({ ejected }) => ejected)) await watched.ask()
    assert.equal((await watched.get('/v1/healthcheck/upstreams/u')).status, 404, 'APISIX knows no ejections')
    const answers = await Promise.all(Array.from({ length: 30 }, () => watched.ask()))
    assert.equal(new Set(answers.map(({ port }) => port)).size, 2, 'one is out, a second may not be')
    assert.ok(answers.some(({ port }) => port === sound.port))
    one.status = 200
    other.status = 200
    while (
      new Set((await Promise.all(Array.from({ length: 12 }, () => watched.ask()))).map(({ port }) => port))
        .size < 3
    );
    assert.match(watched.gateway.output(), /"seconds":1,"message":"endpoint is ejected"/)
    await watched.logged('endpoint is back from its ejection')
  })
})

suite('endpoints that lie, stall or die', { timeout: 60_000 }, () => {
  test('are told apart, and do not hold up the others', async (t) => {
    const [sound] = (await endpoints(t, 1)) as [Endpoint]
    const ports: Record<string, number> = {}
    for (const [kind, behave] of Object.entries({
      mute: () => {},
      endless: (socket: net.Socket) => {
        const more = (error?: Error | null) => {
          if (!error && socket.writable) socket.write('x'.repeat(65_536), more)
        }
        socket.write('HTTP/1.1 200 OK\r\nX: ', more)
      },
      liar: (socket: net.Socket) => socket.end('220 mail.example.com ESMTP\r\n'),
      closing: (socket: net.Socket) => socket.end(),
    })) {
      const server = net.createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => behave(socket))
        t.after(() => socket.destroy())
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.after(() => server.close())
      ports[kind] = (server.address() as AddressInfo).port
    }
    const bad = Object.values(ports).map((port) => `"127.0.0.1:${port}": 1`)
    const watched = await started(
      t,
      `nodes: { "${sound.address}": 1, ${bad.join(', ')} }, checks: { active: { http_path: /status, timeout: 0.2, concurrency: 1, unhealthy: { http_failures: 1, tcp_failures: 1, timeouts: 1 } } }`,
    )
    const reasons: Record<string, string | null | undefined> = {}
    for (const [kind, port] of Object.entries(ports)) {
      reasons[kind] = (await watched.until({ port } as Endpoint, 'unhealthy')).last_failure
    }
    assert.deepEqual(reasons, {
      mute: 'probe: no answer in time',
      endless: 'probe: an answer that is not HTTP',
      liar: 'probe: an answer that is not HTTP',
      closing: 'probe: the connection broke off',
    })
    for (let i = 0; i < 10; i++) assert.deepEqual(await watched.ask(), { status: 200, port: sound.port })
  })
})

suite('the control port', { timeout: 60_000 }, () => {
  test('tells health in the words of APISIX', async (t) => {
    const [dead, alive] = (await endpoints(t, 2)) as [Endpoint, Endpoint]
    await dead.kill()
    const watched = await started(t, `${nodes([dead, alive])}, checks: { ${active} }`)
    await watched.until(dead, 'unhealthy')
    const none = { success: 0, http_failure: 0, tcp_failure: 0, timeout_failure: 0 }
    const expected = {
      name: '/upstreams/u',
      type: 'http',
      nodes: [
        {
          ip: '127.0.0.1',
          port: dead.port,
          hostname: '127.0.0.1',
          status: 'unhealthy',
          counter: { ...none, tcp_failure: 2 },
        },
        { ip: '127.0.0.1', port: alive.port, hostname: '127.0.0.1', status: 'healthy', counter: none },
      ],
    }
    assert.deepEqual(JSON.parse((await watched.get('/v1/healthcheck')).text), [expected])
    assert.deepEqual(JSON.parse((await watched.get('/v1/healthcheck/upstreams/u')).text), expected)
    const html = await watched.get('/v1/healthcheck', { accept: 'text/html,*/*' })
    assert.equal(html.type, 'text/html; charset=utf-8')
    assert.match(html.text, new RegExp(`<td>127.0.0.1:${dead.port}</td><td>unhealthy</td>`))
    for (const [path, status, message] of [
      ['/v1/healthcheck/upstreams/9', 404, 'upstreams[9] not found'],
      ['/v1/healthcheck/routes/all', 404, 'no checker for routes[all]'],
      ['/v1/healthcheck/upstreams', 404, 'missing src id for src type upstreams'],
      ['/v1/healthcheck/route/1', 400, 'invalid src type route'],
    ] as const) {
      const answer = await watched.get(path)
      assert.deepEqual([answer.status, answer.text], [status, `{"error_msg":"${message}"}\n`], path)
    }
    const line = new RegExp(
      `^apisix_upstream_status\\{name="/upstreams/u",ip="127.0.0.1",port="${dead.port}"\\} (.*)$`,
      'm',
    )
    assert.equal(await watched.metric(line), '0')
    assert.equal(await watched.metric(/^sluice_health_changes_total\{to="unhealthy"\} (.*)$/m), '1')
  })

  test('lets operators forget what was found out', async (t) => {
    const [failing, sound] = (await endpoints(t, 2)) as [Endpoint, Endpoint]
    const checks = `checks: { active: { healthy: { interval: 3600 }, unhealthy: { interval: 3600 } }, passive: { unhealthy: { http_statuses: [500], http_failures: 1 } } }`
    const watched = await started(t, `${nodes([failing, sound])}, ${checks}`)
    failing.status = 500
    while ((await watched.nodes()).find(({ port }) => port === failing.port)?.status !== 'unhealthy') {
      await watched.ask()
    }
    failing.status = 200
    assert.equal((await watched.clear('kind=breakers')).health, undefined)
    assert.equal((await watched.clear('kind=health&resource=routes/all')).health, 0)
    await watched.until(failing, 'unhealthy')
    assert.equal((await watched.clear('kind=health&resource=upstreams/u')).health, 1)
    await watched.until(failing, 'healthy')
    const ports = await Promise.all(Array.from({ length: 20 }, () => watched.ask()))
    assert.ok(ports.some(({ port }) => port === failing.port))
  })

  test('is empty as an empty table of Lua is', async (t) => {
    const [alive] = (await endpoints(t, 1)) as [Endpoint]
    const watched = await started(t, nodes([alive]))
    assert.equal((await watched.get('/v1/healthcheck')).text, '{}\n')
  })
})
