import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { check } from '../config/check.ts'
import { load } from '../config/load.ts'
import { resourceKinds } from '../config/plan.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { runProgram } from './program.ts'

async function folder(t: TestContext): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'sluice-diff-'))
  t.after(() => rm(cwd, { recursive: true }))
  return cwd
}

async function diff(t: TestContext, a: string, b: string, ...argv: string[]) {
  const cwd = await folder(t)
  await writeFile(join(cwd, 'a.yaml'), a)
  await writeFile(join(cwd, 'b.yaml'), b)
  return run(cwd, 'a.yaml', 'b.yaml', ...argv)
}

async function run(cwd: string, ...argv: string[]) {
  const output = { stdout: '', stderr: '' }
  const code = await runProgram(['diff', ...argv], {
    stdout: { write: (chunk) => (output.stdout += chunk) },
    stderr: { write: (chunk) => (output.stderr += chunk) },
    env: { ORDERS_KEY: 'k' },
    cwd,
    isTTY: false,
  })
  return { code, ...output }
}

const before = `
routes:
  - id: orders
    uri: /orders
    host: Shop.example.com
    plugins:
      limit-count: { count: 1, time_window: 60 }
    upstream:
      nodes: { "10.0.0.1:80": 1, "10.0.0.2": 2 }
  - id: gone
    uri: /gone
    upstream_id: 1
upstreams:
  - id: 1
    nodes: { "10.0.0.9:80": 1 }
consumers:
  - username: jack
    plugins: { key-auth: { key: alpha-secret } }
`
const after = `
upstreams:
  - { id: "1", type: roundrobin, nodes: [{ host: 10.0.0.9, port: 80, weight: 1 }] }
consumers:
  - username: jack
    plugins: { key-auth: { key: beta-secret } }
routes:
  - { id: new, uri: /new, upstream_id: 1 }
  - id: orders
    uris: [/orders]
    hosts: [shop.example.com]
    methods: [GET]
    upstream:
      timeout: { connect: 60, send: 60, read: 60 }
      nodes: [{ host: 10.0.0.2, weight: 3 }, { host: 10.0.0.1, port: 80, weight: 1, priority: 0 }]
    plugins:
      limit-count: { time_window: 60, count: 2, policy: local, _meta: { disable: false } }
`

suite('sluice diff', () => {
  test('tells what differs in effect, with both places, and ends with 4', async (t) => {
    const { code, stdout } = await diff(t, before, after)
    t.assert.equal(
      stdout,
      `\
~ routes/orders
  ~ plugins.limit-count.count: 1 -> 2  (a.yaml:7 -> b.yaml:17)
  ~ upstream.nodes["10.0.0.2:80"].weight: 2 -> 3  (a.yaml:9 -> b.yaml:15)
  + methods: ["GET"]  (b.yaml:12)
- routes/gone  (a.yaml:10)
+ routes/new  (b.yaml:8)
~ consumers/jack
  ~ plugins.key-auth.key: changed, a secret  (a.yaml:18 -> b.yaml:6)

1 added, 1 removed, 2 changed
`,
    )
    t.assert.equal(code, 4)
  })

  test('prints JSON when asked to, in which secrets are not either', async (t) => {
    const { code, stdout } = await diff(t, before, after, '--format', 'json')
    const { equal, differences } = JSON.parse(stdout)
    t.assert.deepEqual([code, equal, differences.length], [4, false, 6])
    t.assert.deepEqual(differences[0], {
      resource: 'routes/orders',
      change: 'changed',
      path: 'plugins.limit-count.count',
      before: 1,
      after: 2,
      place_before: { file: 'a.yaml', line: 7, column: 22, path: 'routes[0].plugins.limit-count.count' },
      place_after: { file: 'b.yaml', line: 17, column: 39, path: 'routes[1].plugins.limit-count.count' },
    })
    t.assert.equal(differences[5].secret, true)
    t.assert.doesNotMatch(stdout, /alpha|beta/)
  })

  test('a resource that comes or goes shows none of its secrets', async (t) => {
    const jack = 'consumers: [{ username: jack, plugins: { key-auth: { key: alpha-secret } } }]'
    const nobody = 'gateway: {}'
    for (const [a, b] of [
      [jack, nobody],
      [nobody, jack],
    ] as const) {
      const { stdout } = await diff(t, a, b, '--format', 'json')
      t.assert.match(stdout, /<redacted>/)
      t.assert.doesNotMatch(stdout, /alpha/)
    }
  })

  test('settings of the gateway are compared too', async (t) => {
    const { stdout } = await diff(
      t,
      'gateway: { timeouts: { header: 10s } }',
      'gateway: { timeouts: { header: 20s, drain: 30s } }',
    )
    t.assert.match(stdout, /^~ gateway\n {2}~ timeouts\.header: 10000 -> 20000\n/)
  })

  test('resources without an id are compared by what they say', async (t) => {
    const route = (uri: string) => `  - { uri: ${uri}, upstream: { nodes: { "10.0.0.1:80": 1 } } }\n`
    const { stdout } = await diff(
      t,
      `routes:\n${route('/a')}${route('/b')}`,
      `routes:\n${route('/new')}${route('/b')}${route('/a')}`,
    )
    t.assert.equal(stdout, '+ routes/arr_1  (b.yaml:2)\n\n1 added, 0 removed, 0 changed\n')
  })

  test('a configuration with errors: they are printed, exit 3', async (t) => {
    const { code, stdout, stderr } = await diff(t, before, 'routes: [{ id: a, uri: /a }]')
    t.assert.deepEqual([code, stdout], [3, ''])
    t.assert.match(stderr, /^b\.yaml:1:10: error route-without-upstream/)
  })

  test('takes anything but two configurations for a mistake of usage', async (t) => {
    t.assert.equal((await run('/', 'a')).code, 2)
    t.assert.equal((await run('/', 'a', 'b', 'c')).code, 2)
    t.assert.equal((await run('/', 'a', 'b', '--format', 'xml')).code, 2)
  })
})

suite('no phantom drift', () => {
  const root = new URL('../../', import.meta.url).pathname
  const configurations = [
    'examples/quickstart',
    'examples/key-auth',
    'examples/limits',
    'examples/load-balancing',
    'test/golden/sound',
  ]
  for (const name of configurations) {
    test(`${name}, with every default written out and everything in another order`, async (t: TestContext) => {
      const loaded = await load([root + name], { ORDERS_KEY: 'k' })
      const { declarations, findings } = check(loaded, policySchemas(catalogue), { gatewayVersion: '0' })
      if (declarations === undefined) throw new Error(JSON.stringify(findings))
      const written = Object.fromEntries(
        resourceKinds.map((kind) => [
          kind,
          [...declarations[kind].values()].map(({ id, input }) =>
            kind === 'consumers' ? input : { ...input, id },
          ),
        ]),
      )
      const settings = loaded.documents.flatMap(({ value }) => (value as { gateway?: object }).gateway ?? [])
      const text = JSON.stringify(backwards({ ...written, gateway: settings[0] }))
      const cwd = await folder(t)
      await writeFile(join(cwd, 'written.json'), text)
      const { code, stdout, stderr } = await run(cwd, root + name, 'written.json')
      t.assert.equal(stdout + stderr, 'no differences\n')
      t.assert.equal(code, 0)
    })
  }
})

/** Maps with their keys in the reverse order; lists of resources too, which have ids. */
function backwards(value: unknown, depth = 0): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => backwards(item, depth + 1))
    return depth === 1 ? items.toReversed() : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, item]) => [key, backwards(item, depth + 1)])
  return Object.fromEntries(entries.toReversed())
}
