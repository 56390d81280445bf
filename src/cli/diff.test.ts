import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { exportEndpoints } from '../admin/exported-configuration.ts'
import { type AdminRequest, AdminServer } from '../admin/server.ts'
import { check } from '../config/check.ts'
import { type Loaded, load, readText } from '../config/load.ts'
import { resourceKinds } from '../config/plan.ts'
import { secretDigest } from '../config/secret-digest.ts'
import { SecretFields } from '../config/secret-fields.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { version } from '../version.ts'
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

  test('what a default says on this machine, and in this version, is no difference', async (t) => {
    const { code } = await diff(t, 'gateway: {}', `gateway: { workers: auto, server: "sluice/${version}" }`)
    t.assert.equal(code, 0)
    const { stdout } = await diff(t, 'gateway: {}', 'gateway: { workers: 3 }')
    t.assert.match(stdout, /^~ gateway\n {2}~ workers: "auto" -> 3\n/)
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

suite('sluice diff with a running gateway', () => {
  async function gateway(t: TestContext, text: string): Promise<{ url: string; asked: string[] }> {
    const loaded: Loaded = { documents: [], findings: [] }
    readText('running.yaml', text, {}, loaded)
    const policies = policySchemas(catalogue)
    const { plan, configuration } = check(loaded, policies, { gatewayVersion: version })
    const secrets = new SecretFields(policies)
    const source = { plan: () => plan!, configuration: () => configuration! }
    const endpoints = exportEndpoints(source, secrets, version)
    const asked: string[] = []
    const recorded = Object.entries(endpoints).map(([name, endpoint]) => [
      name,
      async (request: AdminRequest) => {
        const answer = await endpoint(request)
        asked.push(request.body, answer.body)
        return answer
      },
    ])
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const server = new AdminServer(Object.fromEntries(recorded), log)
    t.after(() => server.close())
    const port = await server.listen({ host: '127.0.0.1', port: 0, enabled: true })
    return { url: `http://127.0.0.1:${port}`, asked }
  }

  test('finds nothing where the files are what is running', async (t) => {
    const { url } = await gateway(t, before)
    const cwd = await folder(t)
    await writeFile(join(cwd, 'a.yaml'), before)
    t.assert.deepEqual(await run(cwd, 'a.yaml', url), { code: 0, stdout: 'no differences\n', stderr: '' })
    t.assert.deepEqual(await run(cwd, url, 'a.yaml'), { code: 0, stdout: 'no differences\n', stderr: '' })
  })

  test('finds what files have not told it, a changed secret without showing it to anyone', async (t) => {
    const { url, asked } = await gateway(t, before)
    const cwd = await folder(t)
    await writeFile(join(cwd, 'b.yaml'), after)
    const { code, stdout } = await run(cwd, url, 'b.yaml')
    t.assert.equal(
      stdout,
      `\
~ routes/orders
  ~ plugins.limit-count.count: 1 -> 2  (b.yaml:17)
  ~ upstream.nodes["10.0.0.2:80"].weight: 2 -> 3  (b.yaml:15)
  + methods: ["GET"]  (b.yaml:12)
- routes/gone
+ routes/new  (b.yaml:8)
~ consumers/jack
  ~ plugins.key-auth.key: changed, a secret  (b.yaml:6)

1 added, 1 removed, 2 changed
`,
    )
    t.assert.equal(code, 4)
    t.assert.equal(asked.length, 4)
    t.assert.doesNotMatch(asked.join(), /alpha|beta/)
  })

  test('two gateways do not compare their secrets, and that is said', async (t) => {
    const [one, other] = [await gateway(t, before), await gateway(t, before.replace('alpha', 'gamma'))]
    const { code, stdout, stderr } = await run('/', one.url, other.url)
    t.assert.deepEqual([code, stdout], [0, 'no differences\n'])
    t.assert.match(stderr, /Secrets were not compared/)
  })

  test('whether a value is a secret of a gateway can be asked, and nothing else', async (t) => {
    const { url } = await gateway(t, before)
    const ask = async (question: object) => {
      const body = JSON.stringify(question)
      const response = await fetch(`${url}/v1/configuration/secrets`, { method: 'POST', body })
      return { status: response.status, ...JSON.parse(await response.text()) }
    }
    const nonce = 'a-nonce-of-this-test'
    const about = (path: string[], value: string) => ({
      kind: 'consumers',
      id: 'jack',
      path,
      digest: secretDigest(nonce, value),
    })
    const key = ['plugins', 'key-auth', 'key']
    const secrets = [
      about(key, 'alpha-secret'),
      about(key, 'alpha'),
      about(['toString'], 'x'),
      about(key, ''),
    ]
    t.assert.deepEqual(await ask({ nonce, secrets }), { status: 200, equal: [true, false, false, false] })
    t.assert.equal((await ask({ nonce: 'short', secrets })).status, 400)
    t.assert.equal((await ask({ nonce, secrets: [{ ...secrets[0], kind: 'constructor' }] })).status, 400)
    t.assert.equal((await ask({ nonce, secrets: [null] })).status, 400)
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
      const { configuration, findings } = check(loaded, policySchemas(catalogue), { gatewayVersion: '0' })
      if (configuration === undefined) throw new Error(JSON.stringify(findings))
      const written = Object.fromEntries(
        resourceKinds.map((kind) => [
          kind,
          [...configuration.entries(kind)].map(([id, input]) =>
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
