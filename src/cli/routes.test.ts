import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import { controlEndpoints } from '../admin/control.ts'
import { AdminServer } from '../admin/server.ts'
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import { runProgram } from './program.ts'

const configuration = `
routes:
  - { id: all, uri: /*, upstream: { nodes: { "10.0.0.1:80": 1, "10.0.0.2:80": 1 } } }
  - { id: orders, name: Orders, uris: [/orders, /orders/*], methods: [GET, POST], priority: 5, service_id: shop }
  - { id: off, uri: /off, status: 0, service_id: shop }
services:
  - { id: shop, name: Shop, hosts: [shop.example.com, "*.shop.example.com"], upstream_id: shop }
upstreams:
  - { id: shop, nodes: { "10.0.0.3:80": 1 } }
`
const table = `\
#  HOST                PATH       METHODS   PRIORITY  ROUTE            SERVICE      UPSTREAM
1  *.shop.example.com  /orders/*  GET,POST  5         orders (Orders)  shop (Shop)  shop
2  *.shop.example.com  /orders    GET,POST  5         orders (Orders)  shop (Shop)  shop
3  shop.example.com    /orders/*  GET,POST  5         orders (Orders)  shop (Shop)  shop
4  shop.example.com    /orders    GET,POST  5         orders (Orders)  shop (Shop)  shop
5  *                   /*         *         0         all              -            10.0.0.1:80 and 1 more
`

async function routes(t: TestContext, text: string, ...argv: string[]) {
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-routes-'))
  t.after(() => rm(cwd, { recursive: true }))
  await writeFile(join(cwd, 'sluice.yaml'), text)
  const output = { stdout: '', stderr: '' }
  const code = await runProgram(['routes', ...argv], {
    stdout: { write: (chunk) => (output.stdout += chunk) },
    stderr: { write: (chunk) => (output.stderr += chunk) },
    env: {},
    cwd,
    isTTY: false,
  })
  return { code, ...output }
}

async function gateway(t: TestContext, text: string): Promise<string> {
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const plan = planOf(text)
  const server = new AdminServer(
    controlEndpoints({
      sync: () => undefined,
      plan: () => plan,
      status: () => ({}) as SupervisorStatus,
      reload: async () => undefined,
      collectGarbage: async () => {},
    }),
    log,
  )
  t.after(() => server.close())
  return `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0, enabled: true })}`
}

suite('sluice routes', () => {
  test('lists the table of a configuration', async (t) => {
    const { code, stdout } = await routes(t, configuration)
    t.assert.equal(stdout, table)
    t.assert.equal(code, 0)
  })

  test('lists the table of a running gateway', async (t) => {
    const { code, stdout } = await routes(t, '', '--gateway', await gateway(t, configuration))
    t.assert.equal(stdout, table)
    t.assert.equal(code, 0)
  })

  test('prints JSON when asked to', async (t) => {
    const { stdout } = await routes(t, configuration, '--format', 'json')
    const rows = JSON.parse(stdout)
    t.assert.equal(rows.length, 5)
    t.assert.deepEqual(rows[0], {
      order: 1,
      hosts: ['*.shop.example.com'],
      path: '/orders/*',
      methods: ['GET', 'POST'],
      priority: 5,
      route: { id: 'orders', name: 'Orders' },
      service: { id: 'shop', name: 'Shop' },
      upstream: { key: 'upstream:shop', nodes: ['10.0.0.3:80'] },
    })
  })

  test('where the path is looked at first, hosts are a condition', async (t) => {
    const { stdout } = await routes(t, `gateway: { router: radixtree_uri }\n${configuration}`)
    t.assert.equal(
      stdout.split('\n')[1]?.replace(/ {2,}/g, '  '),
      '1  shop.example.com,*.shop.example.com  /orders/*  GET,POST  5  orders (Orders)  shop (Shop)  shop',
    )
  })

  test('conditions have a column where there are some', async (t) => {
    const { stdout } = await routes(
      t,
      `
routes:
  - { id: a, uri: /a, vars: [[arg_x, "==", "1"]], remote_addrs: [10.0.0.0/8], upstream: { nodes: { "10.0.0.1:80": 1 } } }
  - { id: b, uri: /a, upstream: { nodes: { "10.0.0.1:80": 1 } } }
`,
    )
    t.assert.deepEqual(
      stdout.split('\n').map((line) => line.replace(/ {2,}/g, '  ')),
      [
        '#  HOST  PATH  METHODS  PRIORITY  ROUTE  SERVICE  UPSTREAM  CONDITIONS',
        '1  *  /a  *  0  a  -  10.0.0.1:80  remote_addrs 10.0.0.0/8, vars [["arg_x","==","1"]]',
        '2  *  /a  *  0  b  -  10.0.0.1:80  -',
        '',
      ],
    )
  })

  test('says so when there are none', async (t) => {
    t.assert.equal((await routes(t, 'gateway: {}')).stdout, 'There are no routes.\n')
  })

  test('a configuration with errors: they are printed, exit 3', async (t) => {
    const { code, stdout, stderr } = await routes(t, 'routes: [{ id: a, uri: /a }]')
    t.assert.deepEqual([code, stdout], [3, ''])
    t.assert.match(stderr, /error route-without-upstream: routes\[0\]/)
  })

  test('a gateway that is not there, or is something else: exit 1, and why', async (t) => {
    const server = createServer((_request, response) => response.writeHead(404).end('nothing'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const other = await routes(t, '', '--gateway', url)
    t.assert.deepEqual([other.code, other.stderr], [1, `${url}: GET /v1/route_table: 404 nothing\n`])
    await new Promise((resolve) => server.close(resolve))
    const gone = await routes(t, '', '--gateway', url)
    t.assert.equal(gone.code, 1)
    t.assert.match(gone.stderr, /^http:.*ECONNREFUSED/)
  })

  test('takes a wrong option for a mistake of usage', async (t) => {
    t.assert.equal((await routes(t, '', '--gateway', 'ftp://x')).code, 2)
    t.assert.equal((await routes(t, '', '--gateway', 'http://x', '-c', 'y')).code, 2)
    t.assert.equal((await routes(t, '', '--format', 'xml')).code, 2)
  })
})
