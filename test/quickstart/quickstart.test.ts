/** What the quick start promises beyond the answers to its commands. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, suite, test } from 'node:test'
import { read } from '../rules/repository.ts'
import { type RunningExample, startExample } from './example.ts'

const mobile = `Basic ${Buffer.from('demo-mobile:demo-mobile-secret').toString('base64')}`

suite('examples/quickstart', () => {
  let example: RunningExample
  before(async () => {
    example = await startExample('quickstart')
  })
  after(() => example?.stop())

  const user = (id: number) =>
    fetch(`http://127.0.0.1:${example.port}/users/${id}`, { headers: { Authorization: mobile } })

  test('both replicas take their turn', async () => {
    const replicas = new Set<string>()
    for (let i = 0; i < 8; i++)
      replicas.add(((await (await user(1)).json()) as { served_by: string }).served_by)
    assert.deepEqual([...replicas].sort(), ['a', 'b'])
  })

  test('every exchange becomes a line of JSON', async () => {
    assert.equal((await user(2)).status, 200)
    const lines = await eventually(() => {
      const found = example
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{') && line.includes('/users/2'))
      return found.length > 0 ? found : undefined
    })
    assert.equal(lines.length, 1)
    assert.equal(typeof JSON.parse(lines[0]!), 'object')
    assert.ok(!lines[0]!.includes(mobile), 'credentials are not logged')
  })

  test('metrics count requests by route and consumer', async () => {
    await user(3)
    const metrics = await eventually(async () => {
      const text = await (await fetch(`http://127.0.0.1:${example.metricsPort}/metrics`)).text()
      return /apisix_http_status\{[^}]*\} [1-9]/.test(text) ? text : undefined
    })
    assert.match(
      metrics,
      /apisix_http_status\{(?=[^}]*code="200")(?=[^}]*route="users")(?=[^}]*consumer="mobile-app")/,
    )
  })

  test('every metric that the operations guide names is there', async () => {
    const named = new Set(read('docs/guides/operate.md').match(/\b(?:sluice|apisix)_[a-z_]+\b/g))
    const metrics = await (await fetch(`http://127.0.0.1:${example.metricsPort}/metrics`)).text()
    assert.ok(named.size > 5)
    assert.deepEqual(
      [...named].filter((name) => !metrics.includes(`# TYPE ${name} `)),
      [],
    )
  })

  test('Ctrl-C ends it, and nothing keeps listening', async () => {
    assert.equal(await example.stop(), 0)
    await assert.rejects(connect(example.port), { code: 'ECONNREFUSED' })
  })
})

/** Asks again until there is something; the test runner's own timeout bounds it. */
async function eventually<T>(ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await ask()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function connect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
