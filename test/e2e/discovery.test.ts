/** Traffic while registries say where services run: nodes come and go, and registries die, without a failed request. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { Agent, request } from 'undici'
import { instance, startConsul } from '../harness/consul-server.ts'
import { startDnsServer, type Zone } from '../harness/dns-server.ts'
import { startGateway } from '../harness/gateway.ts'
import { slice, startKubernetes } from '../harness/kubernetes-server.ts'
import { nacosInstance, startNacos } from '../harness/nacos-server.ts'
import { startOrigin } from '../harness/origins.ts'

/** A registry that says what a test wants it to. */
interface FakeRegistry {
  /** Under `gateway.discovery`, in one line. */
  settings?: string
  /** Beside `gateway`. */
  resources?: string
  /** Default: the name of the case. */
  type?: string
  /** `service_name` of the only service. */
  service: string
  /** Nodes of the service, all on 127.0.0.1. */
  set(ports: readonly number[]): void
  stop(): void
}

const registries: Record<string, (t: TestContext) => Promise<FakeRegistry>> = {
  async dns(t) {
    const zone: Zone = { 'local.test': { a: ['127.0.0.1'] } }
    const server = await startDnsServer(t, zone)
    return {
      settings: `servers: ["${server.address}"]`,
      service: 'users.test',
      set(ports) {
        const records = ports.map((port) => ({ priority: 1, weight: 1, port, target: 'local.test' }))
        zone['users.test'] = { srv: records }
      },
      stop: server.stop,
    }
  },

  async consul(t) {
    const consul = await startConsul(t)
    return {
      settings: `servers: ["${consul.url}"]`,
      service: 'users',
      set: (ports) =>
        consul.set(
          'users',
          ports.map((port) => instance(port)),
        ),
      stop: consul.stop,
    }
  },

  async kubernetes(t) {
    const server = await startKubernetes(t, { token: 'a-token' })
    const service = `{ schema: http, host: 127.0.0.1, port: "${server.port}" }`
    return {
      settings: `service: ${service}, client: { token: a-token }, watch_endpoint_slices: true`,
      service: 'default/users:http',
      set(ports) {
        const names = ['users-a', 'users-b']
        names.forEach((name, index) => {
          const port = ports[index]
          if (port === undefined) server.remove('endpointslices', 'default', name)
          else server.put(slice(name, ['127.0.0.1'], { name: 'http', port }))
        })
      },
      stop: server.stop,
    }
  },

  async nacos(t) {
    const user = { username: 'nacos', password: 'nacos' }
    const nacos = await startNacos(t, { user })
    return {
      settings: `host: ["http://nacos:nacos@127.0.0.1:${nacos.port}"], fetch_interval: 1`,
      service: 'users',
      set: (ports) =>
        nacos.set(
          'users',
          ports.map((port) => nacosInstance(port)),
        ),
      stop: nacos.stop,
    }
  },

  async 'a registry of API7'(t) {
    const nacos = await startNacos(t)
    const config = `{ host: ["${nacos.url}"], fetch_interval: 1 }`
    return {
      type: 'nacos',
      resources: `service_registries: [{ id: east, type: nacos, nacos_config: ${config} }]`,
      service: 'east/public/DEFAULT_GROUP/users',
      set: (ports) =>
        nacos.set(
          'users',
          ports.map((port) => nacosInstance(port)),
        ),
      stop: nacos.stop,
    }
  },
}

async function start(t: TestContext, name: string, registry: FakeRegistry, more = '') {
  const type = registry.type ?? name
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { enabled: false }
  dns: { min_ttl: 50ms, timeout: 300ms }
  discovery: { ${registry.settings === undefined ? '' : `${type}: { ${registry.settings} },`} ${more} }
${registry.resources ?? ''}
routes:
  - { id: users, uri: /*, upstream: { service_name: "${registry.service}", discovery_type: ${type} } }
`,
  )
  const agent = new Agent({ connections: 8, pipelining: 1 })
  t.after(async () => {
    await agent.close()
    await gateway.stop()
  })
  const origin = `http://127.0.0.1:${gateway.port}/`
  const ask = async () => {
    const { statusCode, body } = await request(origin, { dispatcher: agent })
    return { status: statusCode, body: await body.text() }
  }
  return { gateway, ask }
}

/** Keeps requests flowing until it is stopped. */
function flow(ask: () => Promise<{ status: number; body: string }>) {
  const bad: string[] = []
  const answers: string[] = []
  let running = true
  const senders = Array.from({ length: 8 }, async () => {
    while (running) {
      try {
        const { status, body } = await ask()
        if (status === 200) answers.push(body)
        else bad.push(`${status} ${body}`)
      } catch (error) {
        bad.push(String(error))
      }
    }
  })
  return {
    bad,
    answers,
    /** Resolves once `condition` holds; it is asked after every few answers. */
    async until(condition: () => boolean, what: string) {
      const end = Date.now() + 20_000
      while (!condition()) {
        assert.ok(Date.now() < end, `waited too long: ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async more(count: number) {
      const wanted = answers.length + count
      await this.until(() => answers.length >= wanted, `${count} more answers`)
    },
    async stop() {
      running = false
      await Promise.all(senders)
    },
  }
}

for (const [name, open] of Object.entries(registries)) {
  suite(`services in ${name}`, { timeout: 60_000 }, () => {
    test('nodes are added and removed while requests flow, and none fails', async (t) => {
      const registry = await open(t)
      const [a, b] = [await startOrigin(t, 'a'), await startOrigin(t, 'b')]
      registry.set([a.port])
      const { ask } = await start(t, name, registry)
      const traffic = flow(ask)
      await traffic.more(50)
      registry.set([a.port, b.port])
      await traffic.until(() => b.requests > 50, 'the new node takes part')
      registry.set([b.port])
      await traffic.until(() => quietSince(a), 'the old node is left alone')
      await traffic.more(50)
      await traffic.stop()
      assert.deepEqual(traffic.bad, [])
    })

    test('a registry that dies leaves the traffic as it is', async (t) => {
      const registry = await open(t)
      const a = await startOrigin(t, 'a')
      registry.set([a.port])
      const { gateway, ask } = await start(t, name, registry)
      const traffic = flow(ask)
      await traffic.more(50)
      registry.stop()
      await traffic.until(() => gateway.output().includes('registry does not answer'), 'it is noticed')
      await traffic.more(200)
      await traffic.stop()
      assert.deepEqual(traffic.bad, [])
    })

    test('a service without nodes is answered with 503', async (t) => {
      const registry = await open(t)
      registry.set([])
      const { ask } = await start(t, name, registry)
      assert.equal((await ask()).status, 503)
      const a = await startOrigin(t, 'a')
      registry.set([a.port])
      let status = 503
      while (status === 503) status = (await ask()).status
      assert.equal(status, 200)
    })

    test('a start does not wait for ever for a registry that is not there', async (t) => {
      const registry = await open(t)
      registry.stop()
      const { ask } = await start(t, name, registry, 'start_timeout: 100ms')
      assert.equal((await ask()).status, 503)
    })
  })
}

/** Whether nothing reached an origin since this was last asked, twice in a row. */
function quietSince(origin: { requests: number }): boolean {
  const seen = quiet.get(origin) ?? { requests: -1, times: 0 }
  seen.times = seen.requests === origin.requests ? seen.times + 1 : 0
  seen.requests = origin.requests
  quiet.set(origin, seen)
  return seen.times >= 20
}
const quiet = new WeakMap<object, { requests: number; times: number }>()
