/** Every configuration of docs/guides/discovery.md, with registries in place of those that it names. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, type TestContext, test } from 'node:test'
import { instance, startConsul } from '../harness/consul-server.ts'
import { startDnsServer } from '../harness/dns-server.ts'
import { freePort, startGateway } from '../harness/gateway.ts'
import { slice, startKubernetes } from '../harness/kubernetes-server.ts'
import { nacosInstance, startNacos } from '../harness/nacos-server.ts'
import { startOrigin } from '../harness/origins.ts'

const guide = await readFile(new URL('../../docs/guides/discovery.md', import.meta.url), 'utf8')
const configurations = [...guide.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1]!)
const secret = 'a-secret'

/** Starts a registry that knows one node of the service; answers with the port. */
const registries: Record<string, (t: TestContext, port: number) => Promise<number>> = {
  async dns(t, port) {
    const server = await startDnsServer(t, {
      '_http._tcp.users.internal': { srv: [{ priority: 1, weight: 1, port, target: 'node.internal' }] },
      'node.internal': { a: ['127.0.0.1'] },
    })
    return Number(server.address.split(':')[1])
  },
  async consul(t, port) {
    const server = await startConsul(t, { token: secret })
    server.set('users', [instance(port)])
    return Number(new URL(server.url).port)
  },
  async kubernetes(t, port) {
    const server = await startKubernetes(t, { token: secret })
    server.put(slice('users-a', ['127.0.0.1'], { name: 'http', port }))
    return server.port
  },
  async nacos(t, port) {
    const server = await startNacos(t, { user: { username: 'nacos', password: secret } })
    server.set('prod@@web@@users', [nacosInstance(port)])
    return server.port
  },
}

suite('the guide to discovery', () => {
  for (const [type, start] of Object.entries(registries)) {
    test(`its configuration for ${type} finds the service`, async (t) => {
      const origin = await startOrigin(t, 'users')
      const port = await start(t, origin.port)
      const written = configurations.find((text) => text.includes(`discovery_type: ${type}`))
      assert.ok(written, `no configuration for ${type}`)
      const control = await freePort()
      const gateway = await startGateway((traffic) =>
        written
          .replaceAll(/\$\{[A-Z_]+\}/g, secret)
          .replace(/10\.0\.0\.\d+:\d+/, `127.0.0.1:${port}`)
          .replace(/host: 10\.0\.0\.\d+, port: "\d+"/, `host: 127.0.0.1, port: "${port}"`)
          .replace(
            'gateway:\n',
            `gateway:\n  workers: 1\n  listeners: [{ host: 127.0.0.1, port: ${traffic} }]\n  control: { port: ${control} }\n  metrics: { enabled: false }\n`,
          ),
      )
      t.after(() => gateway.stop())
      const answer = await fetch(`http://127.0.0.1:${gateway.port}/`)
      assert.equal(await answer.text(), 'users')

      const [, path] = /curl http:\/\/127\.0\.0\.1:9090(\S+)/.exec(guide) ?? []
      const told = (await (await fetch(`http://127.0.0.1:${control}${path}`)).json()) as Record<
        string,
        unknown[]
      >[]
      assert.deepEqual([told[0]!.type, told[0]!.state, told[0]!.services!.length], [type, 'healthy', 1])
    })
  }

  test('it has nothing else that is not tried', () => {
    assert.equal(configurations.length, Object.keys(registries).length)
  })
})
